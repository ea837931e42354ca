"""The values of ``spec.render`` with which tiny weights render a video fastest. No torch."""

SMALLEST_RENDER = {
    "preset": "quality",
    "steps": 1,
    "textGuidance": 1,
    "audioGuidance": 1,
    "windowFrames": 5,
    "motionFrames": 1,
}
