"""Arms: ways of answering, each a client with its settings; and those that are added to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

from ..correction import conclude
from ..correction.feedback import fresh
from ..correction.policy import Bound, status_of
from ..errors import BudgetExceeded, ConfigurationError
from ..values import tally

if TYPE_CHECKING:
    from ..client import Client
    from ..correction.policy import Flow
    from ..ledgers import Scope
    from ..messages import Request
    from ..options import Options
    from ..reply import Attempt
    from .probing import Probe

__all__ = ["Arm", "ArmKind", "Continued", "EqualTokens", "arms_of", "equal_tokens"]

#: What an arm is to the report: the one without reflection, with a prompt for it, trained for it;
#: a vote at the tokens of another arm; a probe of another arm; or something else.
ArmKind = Literal["plain", "prompted", "trained", "vote", "probe", "other"]

#: Drafts that a vote at equal tokens draws at most.
_MOST: Final = 64
_FREELY: Final = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way of answering.

    ``client``: who is asked; it stays yours to close. ``options``: what each of its calls is told
    beside the client's own settings (``policy``, ``attempts``, ``verify``, ``budget`` of one
    answer). ``scope``: the account that all its answers are charged to; when a limit of that has
    run out, the arm stops. ``kind``: what it is to the report, by default the client's mode.
    ``like``: for a vote, the arm whose tokens it may use; for a probe, the arm that it probes.

    Raises ``ConfigurationError`` for a name that is empty or a kind that is unknown.
    """

    name: str
    client: Client
    options: Options = field(default_factory=lambda: cast("Options", {}))
    scope: Scope | None = None
    kind: ArmKind | None = None
    like: str = ""
    probe: Probe | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable():
            raise ConfigurationError(f"{self.name!r} is no name of an arm.", hint="Say what it is.")
        if self.kind is not None and self.kind not in get_args(ArmKind):
            raise ConfigurationError(
                f"kind is {self.kind!r}.", hint=f"One of {', '.join(get_args(ArmKind))}."
            )


def arms_of(given: Mapping[str, Client | Arm] | Iterable[Arm | Client]) -> tuple[Arm, ...]:
    """Arms from a mapping of names to clients, or from arms and clients in a row.

    Raises ``ConfigurationError`` where there are fewer than two, or two of one name.
    """
    if isinstance(given, Mapping):
        pairs: Iterable[tuple[str, Any]] = given.items()
    else:
        pairs = (("", arm) for arm in given)
    arms = tuple(_arm(name, arm) for name, arm in pairs)
    names = [arm.name for arm in arms]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise ConfigurationError(
            f"Two arms have the name {twice[0]!r}.", hint='Name them: arms={"plain": client, ...}.'
        )
    if len(arms) < 2:
        raise ConfigurationError("There is nothing to compare.", hint="Pass two arms or more.")
    return arms


def _arm(name: str, given: Any) -> Arm:
    if isinstance(given, Arm):
        return replace(given, name=name) if name and name != given.name else given
    if not callable(getattr(given, "stream", None)) or not hasattr(given, "with_options"):
        raise ConfigurationError(
            f"A {type(given).__name__} is no arm.", hint="Pass a Client, or Arm(name=, client=)."
        )
    return Arm(name=name or repr(given), client=given)


def equal_tokens(arms: Sequence[Arm], kinds: Mapping[str, ArmKind]) -> Arm | None:
    """The vote of the plain arm at the tokens of the arm that reflects: the trained one if there
    is one, else the prompted one. None where either is missing, or a vote is there already."""
    if any(kinds[arm.name] == "vote" for arm in arms):
        return None
    plain = next((arm for arm in arms if kinds[arm.name] == "plain"), None)
    like = next(
        (arm for kind in ("trained", "prompted") for arm in arms if kinds[arm.name] == kind), None
    )
    if plain is None or like is None:
        return None
    name = f"{plain.name}, vote at equal tokens"
    return replace(plain, name=name, kind="vote", like=like.name)


@dataclass(frozen=True, slots=True)
class EqualTokens:
    """Self-consistency (Wang et al. 2022) at another arm's price: drafts are drawn until about
    ``tokens`` were generated, and the value that most of them come to is the answer.

    It draws one more as long as that brings it nearer to ``tokens``, going by the mean of its
    drafts so far; one draft is always drawn.
    """

    tokens: int
    most: int = _MOST
    temperature: float | None = _FREELY

    def bound(self, request: Request, /) -> Bound:
        """What it may cost at most."""
        return Bound(attempts=self.most)

    def flow(self, request: Request, /) -> Flow:
        """See ``Policy``."""
        done: list[Attempt] = [(yield request)]
        while len(done) < self.most and self._nearer(done):
            try:
                done.append((yield fresh(request, len(done), temperature=self.temperature)))
            except BudgetExceeded:
                break
        groups = tally([a.transcript.output for a in done])
        if not groups or len(done) == 1:
            return conclude(done, done[0], status_of(done[0]))
        best, votes = groups[0].members[0], len(groups[0].members)
        return conclude(done, done[best], "voted", because=f"{votes} of {len(done)} drafts agree")

    def _nearer(self, done: Sequence[Attempt]) -> bool:
        spent = sum(a.usage.completion for a in done)
        return spent + spent / len(done) / 2 <= self.tokens


@dataclass(frozen=True, slots=True)
class Continued:
    """Goes on from ``prefix``, as if the model had written it; needs a backend that can."""

    prefix: str

    def bound(self, request: Request, /) -> Bound:
        """What it may cost at most."""
        return Bound(attempts=1)

    def flow(self, request: Request, /) -> Flow:
        """See ``Policy``."""
        attempt = yield replace(request, prefix=self.prefix)
        return conclude([attempt], attempt, status_of(attempt))
