"""Names for points of MediaPipe's face mesh, by their numbers in it. "Left" and "right" are as the picture shows them."""

from __future__ import annotations

UPPER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
"""Lower edge of the upper lip, from the left corner to the right one."""

LOWER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
"""Upper edge of the lower lip, from the left corner to the right one."""

UPPER_LIP_TOP, LOWER_LIP_BOTTOM = 0, 17
MOUTH_CORNERS = (61, 291)
NOSE_BASE, NOSE_TIP, CHIN, FOREHEAD = 2, 1, 152, 10

EYE_CORNERS = (33, 263)
"""Outer corners of the eyes."""

CHEEKS = (234, 454)
"""Outermost points of the cheeks."""

CHEEK_SKIN = (50, 280, 205, 425, 117, 346)
"""On the cheeks: where the colour of skin and light is sampled."""

UPPER_LIDS = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (362, 398, 384, 385, 386, 387, 388, 466, 263))
LOWER_LIDS = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (362, 382, 381, 380, 374, 373, 390, 249, 263))
BROWS = ((53, 52, 65), (295, 282, 283))
"""Lower edges of the brows, above the eyes."""
