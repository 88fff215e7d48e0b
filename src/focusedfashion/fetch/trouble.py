"""Why one try of a URL gave nothing, and what that says of the next one."""

from __future__ import annotations


class Trouble(Exception):
    """One try that failed; `reason` is the line that a person reads.

    `again`: it may pass, so another try makes sense. `busy`: the server has too much to do (429, 503 and their like).
    `late`: a time limit ran out. `reached`: the server said something; else it counts against the host.
    `wait`: seconds that the server asks us to stay away, None if it does not say.
    """

    def __init__(
        self,
        reason: str,
        *,
        again: bool = False,
        busy: bool = False,
        late: bool = False,
        reached: bool = True,
        wait: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again
        self.busy = busy
        self.late = late
        self.reached = reached
        self.wait = wait

    @property
    def of_host(self) -> bool:
        """Whether other URLs of the host may well come to the same."""
        return self.busy or self.late or not self.reached
