"""Hair: behind the neck, over the shoulders, and on the head with its hairline."""

import numpy as np
from numpy.typing import NDArray

from raygan.sharding.synthetic.canvas import Floats, Mask, curve, ellipse
from raygan.sharding.synthetic.frame import FaceFrame
from raygan.sharding.synthetic.head import half_width
from raygan.sharding.synthetic.portrait import mix

Line = NDArray[np.float64]
_ENDS = {"short": 8.0, "tied": 8.0, "medium": 58.0, "long": 120.0}  # v where the hair ends


class Hair:
    """The hair of one portrait; the light on it is computed once."""

    def __init__(self, frame: FaceFrame) -> None:
        self.frame = frame
        person = frame.person
        volume = person.volume * (0.45 if frame.scene.hat != "none" else 1.35 if person.wavy else 1.0)
        self.wide = half_width(frame) + (0.35 if person.length in ("short", "tied") else 1.05) * volume
        self.top = -64 - volume
        self.end = _ENDS.get(person.length, 0.0)
        self.shade, self.gloss = self._light()

    def _light(self) -> tuple[Floats, Floats]:
        """The strands' brightness, about 1, and a band of gloss, 0 to 1: float32 [HEIGHT, WIDTH]."""
        frame, person = self.frame, self.frame.person
        fall = np.clip((frame.v + 72) / 80, 0.0, 1)
        strand = (frame.u - np.float32(14 * person.part) * (1 - fall)) / (np.float32(0.4) + np.float32(0.6) * fall)
        if person.wavy:
            strand = strand + 5 * np.sin(frame.v / 7 + np.sign(frame.u) * 1.1 + person.strands)
        phase = person.strands
        ripple = 0.5 * np.sin(0.42 * strand + phase) + 0.32 * np.sin(0.83 * strand + 2 * phase)
        ripple += 0.18 * np.sin(1.7 * strand + 3 * phase)
        lu, lv, _ = frame.scene.light
        nu, nv = frame.u / np.float32(self.wide * 1.1), (frame.v + 5) / np.float32(85)
        radius = nu * nu + np.minimum(nv, 0) ** 2
        side = nu * np.float32(lu) + np.clip(nv, -1, 0.4) * np.float32(lv)
        shade = np.float32(0.9) + np.float32(0.085) * ripple + np.float32(0.38) * side - 0.16 * np.clip(nv, 0, 1)
        gloss = np.exp(-(((radius - 0.62) / 0.16) ** 2)) * np.clip(0.55 + 1.2 * side + 0.3 * ripple, 0, 1)
        return shade.astype(np.float32), gloss.astype(np.float32)

    def paint(self, outline: Line, depth: float = 1.0, blur: float = 0.6) -> None:
        """Fills an outline in face coordinates with hair; `depth` below 1 is farther from the light."""
        frame = self.frame
        mask = frame.shape(outline, blur)
        colour = frame.person.hair_colour
        frame.canvas.paint(mask, colour, self.shade * np.float32(depth))
        frame.canvas.lighten(mask.times(self.gloss), 0.34 * depth, mix(colour, (255, 244, 226), 0.55))

    def _edge(self, v: Line) -> Line:
        """Half the outer width at each v below the temples, in pixels."""
        person = self.frame.person
        if person.length in ("short", "tied"):
            near = half_width(self.frame) + 1
            return near + (self.wide - near) * np.clip(-v / 24, 0, 1) ** 0.6
        along = np.clip((v + 8) / (self.end + 8), 0, 1)
        flare = (5.0 if person.length == "medium" else 8.0) * np.sin(0.8 * np.pi * along)
        swing = 3.2 * np.sin(v / 6.5 + person.strands) * np.clip((v + 8) / 30, 0, 1) if person.wavy else 0 * v
        curl = 1 - 0.3 * np.clip((v - self.end + 14) / 14, 0, 1) ** 3 if person.length == "medium" else 1.0
        return (self.wide + flare + swing) * curl

    def _temple(self) -> float:
        """v where the outer line stops being round."""
        return -24.0 if self.frame.person.length in ("short", "tied") else -8.0

    def _crown(self) -> Line:
        """The outer line from the left temple over the top to the right one."""
        angle = np.linspace(np.pi, 0, 33)
        power = 2 / 2.2
        low = self._temple()
        curls = 1 + (0.022 * np.sin(14 * angle + self.frame.person.strands) if self.frame.person.wavy else 0)
        u = self.wide * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power * curls
        v = low + (self.top - low) * np.sin(angle) ** power * curls
        v += 3 * self.frame.person.part * np.cos(angle) * np.sin(angle)
        return np.stack((u + self.frame.lean(v), v), axis=1)

    def _sides(self, v: Line) -> tuple[Line, Line]:
        edge, lean = self._edge(v), self.frame.lean(v)
        return np.stack((-edge + lean, v), axis=1), np.stack((edge + lean, v), axis=1)

    def draw_back(self) -> None:
        """Draws what is behind the neck, or a bun."""
        if self.frame.person.length == "tied" and self.frame.scene.hat == "none":
            self.paint(ellipse(5 * self.frame.person.part, self.top - 6, 19, 16), depth=0.85)
        elif self.frame.person.length in ("medium", "long"):
            left, right = self._sides(np.linspace(-6, self.end, 22))
            rounded = np.array([(0.6 * right[-1, 0], self.end + 5), (0.6 * left[-1, 0], self.end + 5)])
            self.paint(np.concatenate((self._crown(), right, rounded, left[::-1])), depth=0.68)

    def draw_locks(self) -> None:
        """Draws what falls beside the neck, in front of the shoulders."""
        if self.frame.person.length in ("medium", "long"):
            v = np.linspace(-6, self.end, 22)
            inner = half_width(self.frame) * (0.9 - 0.3 * np.clip((v - 20) / 55, 0, 1))
            for side, edge in zip((-1, 1), self._sides(v), strict=True):
                lock = np.concatenate((edge, np.stack((side * inner, v), axis=1)[::-1]))
                self.frame.canvas.darken(self.frame.shape(lock, blur=3, shift=(-side * 3, 3)), 0.4)
                self.paint(lock)

    def _hairline(self) -> Line:
        """The inner line from the right temple over the forehead to the left one."""
        person = self.frame.person
        half = half_width(self.frame)
        if person.bangs and self.frame.scene.hat == "none":
            sweep = 5 * person.part
            fringe = [(half - 3, 4), (half - 8, -14 - sweep), (14, -19 - sweep), (-14, -19 + sweep)]
            points = [*fringe, (-half + 8, -14 + sweep), (-half + 3, 4)]
        elif person.receding:
            points = [(half - 1, 4), (half - 5, -22), (19, -52), (9, -47), (0, -45.5), (-9, -47), (-19, -52)]
            points += [(-half + 5, -22), (-half + 1, 4)]
        elif person.length == "short":
            peak = 12 * person.part
            points = [(half - 1, 6), (half - 4, -14), (half - 9, -34), (peak + 10, -46), (peak - 10, -46)]
            points += [(-half + 9, -34), (-half + 4, -14), (-half + 1, 6)]
        elif person.length == "tied":
            points = [(half, 4), (half - 2, -14), (half - 7, -34), (18, -51), (0, -54)]
            points += [(-18, -51), (-half + 7, -34), (-half + 2, -14), (-half, 4)]
        else:
            peak = 16 * person.part
            points = [(half, 34), (half - 2, 8), (half - 5, -14), (half * 0.72 + 0.2 * peak, -38), (peak, -54)]
            points += [(-half * 0.72 + 0.2 * peak, -38), (-half + 5, -14), (-half + 2, 8), (-half, 34)]
        line = curve(points)
        line[:, 0] += self.frame.lean(line[:, 1])
        return line

    def draw_cap(self, face: Mask) -> None:
        """Draws the hair on the head, with a soft shadow on the face."""
        frame, person = self.frame, self.frame.person
        if person.length == "bald":
            return
        hairline = self._hairline()
        foot = float(hairline[0, 1])
        left, right = self._sides(np.linspace(self._temple() + 2, foot, 8))
        outline = np.concatenate((self._crown(), right, hairline, left[::-1]))
        lu, lv, _ = frame.scene.light
        shadow = frame.shape(outline, blur=3.2, shift=(-4 * lu, 3.5 - 2 * lv))
        frame.canvas.darken(shadow.within(face), 0.5, (0.45, 0.32, 0.28))
        self.paint(outline)
