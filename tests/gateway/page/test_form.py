"""What somebody chooses becomes the request, and what cannot be used is refused before it is uploaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from tests.gateway.serving import ServedGateway

pytestmark = pytest.mark.browser

PICTURE = "Drop a picture here"


def made(page: Page, gateway: ServedGateway) -> dict[str, Any]:
    """Ask for the video; its spec."""
    page.get_by_role("button", name="Make the video").click()
    expect(page.get_by_role("article")).to_have_count(1)
    (video,) = gateway.videos()
    return dict(video.spec)


def choose_picture(page: Page, picture: Path) -> None:
    page.get_by_label(PICTURE).set_input_files(picture)
    expect(page.get_by_alt_text("The chosen picture")).to_be_visible()


def test_a_text_with_a_voice_a_shape_and_more(page: Page, gateway: ServedGateway, portrait: Path) -> None:
    choose_picture(page, portrait)
    page.get_by_label("What is said").fill("Guten Tag!")
    page.get_by_label("Read by").select_option("de")
    page.get_by_role("radio", name="Tall").check()
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Preset").select_option("fast")
    page.get_by_label("Resolution").select_option("720p")
    page.get_by_label("Prompt").fill("A friendly astronaut")
    spec = made(page, gateway)
    assert spec["source"]["image"]["uri"].startswith("file:")
    assert spec["speech"] == {"speakers": [{"text": "Guten Tag!", "voice": "de"}]}
    assert spec["video"] == {"resolution": "720p", "aspectRatio": "9:16"}
    assert (spec["render"], spec["prompt"]) == ({"preset": "fast"}, "A friendly astronaut")


def test_the_cut_of_a_shape_is_shown_on_the_picture(page: Page, portrait: Path) -> None:
    choose_picture(page, portrait)
    expect(page.locator(".cut")).to_have_count(0)
    page.get_by_role("radio", name="Tall").check()
    expect(page.get_by_text("44 % is cut away")).to_be_visible()
    frame, cut = page.locator(".frame").bounding_box(), page.locator(".cut").bounding_box()
    assert frame is not None
    assert cut is not None
    assert cut["width"] / cut["height"] == pytest.approx(9 / 16, rel=0.01)
    assert cut["x"] > frame["x"]


def test_a_file_of_sound_is_shown_and_heard_before_it_is_sent(
    page: Page, gateway: ServedGateway, portrait: Path, recording: Path
) -> None:
    choose_picture(page, portrait)
    page.get_by_role("radio", name="File").check()
    page.get_by_label("Drop a sound here").set_input_files(recording)
    expect(page.get_by_label("What will be heard")).to_be_visible()
    expect(page.get_by_text("voice.ogg · 0:08")).to_be_visible()
    expect(page.get_by_text("The video will be about 8 seconds long.")).to_be_visible()
    (speaker,) = made(page, gateway)["speech"]["speakers"]
    assert speaker["audio"]["uri"].startswith("file:")


def test_a_recording_is_made_with_the_microphone(page: Page, gateway: ServedGateway, portrait: Path) -> None:
    choose_picture(page, portrait)
    page.get_by_role("radio", name="Record").check()
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("timer")).to_have_text("0:01")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("recording.webm")).to_be_visible()
    (speaker,) = made(page, gateway)["speech"]["speakers"]
    assert speaker["audio"]["uri"].startswith("file:")


class TestTwoSpeakers:
    @pytest.fixture(autouse=True)
    def _two(self, page: Page, portrait: Path) -> None:
        choose_picture(page, portrait)
        page.get_by_label("What is said").fill("I begin.")
        page.get_by_role("button", name="Add a second speaker").click()
        page.get_by_role("group", name="Voice of speaker 2").get_by_label("What is said").fill("And I go on.")

    def test_each_has_a_voice_and_a_rectangle(self, page: Page, gateway: ServedGateway) -> None:
        page.get_by_role("radio", name="At the same time").check()
        speech = made(page, gateway)["speech"]
        assert [speaker["text"] for speaker in speech["speakers"]] == ["I begin.", "And I go on."]
        assert [speaker["region"]["left"] for speaker in speech["speakers"]] == [0.06, 0.54]
        assert speech["arrangement"] == "Parallel"

    def test_rectangles_are_drawn_with_the_mouse(self, page: Page, gateway: ServedGateway) -> None:
        face = page.get_by_role("button", name="Face of speaker 2")
        face.scroll_into_view_if_needed()
        box, frame = face.bounding_box(), page.locator(".frame").bounding_box()
        assert box is not None
        assert frame is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2 - 0.2 * frame["width"], box["y"] + box["height"] / 2, steps=4)
        page.mouse.up()
        _, second = made(page, gateway)["speech"]["speakers"]
        assert second["region"]["left"] == pytest.approx(0.34, abs=0.01)
        assert second["region"]["width"] == pytest.approx(0.4, abs=0.002)

    def test_rectangles_are_moved_and_sized_with_keys(self, page: Page, gateway: ServedGateway) -> None:
        face = page.get_by_role("button", name="Face of speaker 1")
        face.press("ArrowRight")
        face.press("Shift+ArrowLeft")
        first, _ = made(page, gateway)["speech"]["speakers"]
        assert first["region"] == pytest.approx({"left": 0.08, "top": 0.1, "width": 0.38, "height": 0.8}, abs=0.002)

    def test_one_can_be_removed_again(self, page: Page, gateway: ServedGateway) -> None:
        page.get_by_role("button", name="Remove this speaker").click()
        assert made(page, gateway)["speech"] == {"speakers": [{"text": "I begin.", "voice": "en-us"}]}


REFUSED_PICTURES = [
    ("notes.txt", b"no picture", "notes.txt is neither a picture (PNG, JPEG, WebP) nor a video."),
    ("empty.png", b"", "empty.png is empty."),
    ("torn.png", b"\x89PNG\r\n\x1a\n and then nothing", "torn.png is damaged"),
    ("large.png", b"\x89PNG" + bytes(10_000_001), "The picture has 10 MB; at most 10 MB are allowed here."),
]


@pytest.mark.parametrize(("name", "content", "reason"), REFUSED_PICTURES, ids=lambda value: str(value)[:12])
def test_a_picture_that_cannot_be_used_is_refused_at_once(
    page: Page, gateway: ServedGateway, tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    page.get_by_label(PICTURE).set_input_files(tmp_path / name)
    expect(page.get_by_role("alert").filter(has_text=reason)).to_be_visible()
    assert gateway.videos() == []


def test_a_sound_that_cannot_be_decoded_is_refused_at_once(page: Page, tmp_path: Path) -> None:
    (tmp_path / "talk.mp3").write_bytes(b"ID3 and then nothing")
    page.get_by_role("radio", name="File").check()
    page.get_by_label("Drop a sound here").set_input_files(tmp_path / "talk.mp3")
    expect(page.get_by_role("alert").filter(has_text="talk.mp3 is no sound")).to_be_visible()


def test_what_is_missing_is_said(page: Page, portrait: Path) -> None:
    make = page.get_by_role("button", name="Make the video")
    make.click()
    expect(page.get_by_role("alert").filter(has_text="Choose a picture.")).to_be_visible()
    choose_picture(page, portrait)
    make.click()
    expect(page.get_by_role("alert").filter(has_text="Write what is said.")).to_be_visible()


def test_what_the_server_refuses_is_said_in_its_words(page: Page, gateway: ServedGateway, portrait: Path) -> None:
    problem = {"detail": "23 videos have not ended, and that is the limit.", "code": "queue_full"}
    page.route("**/v1/videos", lambda route: route.fulfill(status=429, body=json.dumps(problem)))
    choose_picture(page, portrait)
    page.get_by_label("What is said").fill("One too many.")
    page.get_by_role("button", name="Make the video").click()
    expect(page.get_by_role("alert").filter(has_text="that is the limit")).to_be_visible()
    expect(page.get_by_label("What is said")).to_have_value("One too many.")


def test_a_request_whose_answer_was_lost_is_sent_again_and_makes_one_video(
    page: Page, gateway: ServedGateway, portrait: Path
) -> None:
    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/v1/videos", lose)
    choose_picture(page, portrait)
    page.get_by_label("What is said").fill("Only once.")
    page.get_by_role("button", name="Make the video").click()
    expect(page.get_by_role("alert").filter(has_text="no video is made twice")).to_be_visible()
    page.unroute("**/v1/videos")
    assert made(page, gateway)["speech"]["speakers"][0]["text"] == "Only once."


def test_the_whole_form_works_with_the_keyboard(page: Page, gateway: ServedGateway, portrait: Path) -> None:
    def tab_to(name: str) -> None:
        for _ in range(30):
            page.keyboard.press("Tab")
            if name in page.evaluate("document.activeElement.closest('label, button, summary')?.textContent ?? ''"):
                return
        raise AssertionError(f"Tab does not reach {name}")

    expect(page.get_by_label(PICTURE)).to_be_attached()
    tab_to("Drop a picture here")
    expect(page.get_by_label(PICTURE)).to_be_focused()
    page.get_by_label(PICTURE).set_input_files(portrait)  # which the browser's own dialog does
    expect(page.get_by_alt_text("The chosen picture")).to_be_visible()
    tab_to("As the picture")
    page.keyboard.press("ArrowRight")
    tab_to("Write")
    tab_to("What is said")
    page.keyboard.type("No mouse was harmed.")
    tab_to("Make the video")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article", name="No mouse was harmed.")).to_be_visible()
    expect(page.get_by_role("heading", name="Videos")).to_be_focused()
    assert gateway.videos()[0].spec["video"]["aspectRatio"] == "16:9"
