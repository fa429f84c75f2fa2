"""The progress of an upload: files, bytes and rate."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

if TYPE_CHECKING:
    from tqdm.auto import tqdm


class UploadBar:
    """A progress bar in bytes that counts files too."""

    def __init__(self, name: str, *, files: int, size: int, done: int, done_size: int, show: bool) -> None:
        """Draw the bar; sizes are in bytes, and ``done`` of the ``files`` are there already."""
        self._files, self._done = files, done
        self._bar: tqdm[NoReturn] | None = None
        if not show:
            return
        from tqdm.auto import tqdm

        self._bar = tqdm(
            total=size,
            initial=done_size,
            desc=f"upload {name}",
            unit="B",
            unit_scale=True,
            postfix=f"{done:,}/{files:,} files",
        )

    def add(self, size: int) -> None:
        """Count a file of so many bytes."""
        self._done += 1
        if self._bar is None:
            return
        self._bar.set_postfix_str(f"{self._done:,}/{self._files:,} files", refresh=False)
        self._bar.update(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
