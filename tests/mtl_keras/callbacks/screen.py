"""What a terminal shows of what is written to it: as much of one as rich's live displays need."""

from __future__ import annotations

import re

_PIECES = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|\r\n|[\r\n]|[^\x1b\r\n]+")


class Screen:
    """Lines of text without end, and a cursor; colours are not kept.

    Args:
        width: in characters.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.wrapped: list[str] = []
        """What was written beyond the end of a line, which a terminal continues on the next one."""
        self._lines = [""]
        self._row = self._column = 0

    @property
    def text(self) -> str:
        """What is there now, without spaces at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._lines).rstrip("\n") + "\n"

    def write(self, output: str) -> None:
        """Does what a terminal does with output.

        Raises:
            ValueError: for a control sequence that it does not know.
        """
        position = 0
        for piece in _PIECES.finditer(output):
            if piece.start() != position:
                raise ValueError(f"No control sequence known: {output[position : position + 10]!r}")
            position = piece.end()
            if piece[2]:
                self._control(piece[1], piece[2])
            elif piece[0] == "\r":
                self._column = 0
            elif piece[0] in ("\n", "\r\n"):
                self._move(self._row + 1)
            else:
                self._put(piece[0])

    def _control(self, argument: str, letter: str) -> None:
        if letter == "A":
            self._row -= int(argument or 1)
        elif letter == "K" and argument == "2":
            self._lines[self._row] = ""
        elif letter != "m" and argument != "?25":
            raise ValueError(f"No control sequence known: {argument}{letter}")

    def _move(self, row: int) -> None:
        self._row, self._column = row, 0
        self._lines += [""] * (row + 1 - len(self._lines))

    def _put(self, text: str) -> None:
        room = self.width - self._column
        now, rest = text[:room], text[room:]
        line = self._lines[self._row].ljust(self._column)
        self._lines[self._row] = line[: self._column] + now + line[self._column + len(now) :]
        self._column += len(now)
        if rest:
            self.wrapped.append(rest)
            self._move(self._row + 1)
            self._put(rest)
