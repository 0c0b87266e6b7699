"""Search a supernet's space: evolution toward high AP at low cost.

Source: Lite Pose's evolutionary search (paper, section 4.3). Here optuna's NSGA-II searches all
genes,
with a study on disk: no candidate is evaluated twice, a killed search resumes, and several
processes can share it. Costs are exact MACs or weights, or this machine's latency.
"""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from litepose.core.errors import LitePoseError
from litepose.core.files import sha256_of, write_atomically
from litepose.core.packages import need
from litepose.core.read_text import parse_json
from litepose.models.checkpoint import save_checkpoint
from litepose.models.space import describe
from litepose.models.supernet import Supernet, load_supernet
from litepose.search.candidate import Candidate, CandidateEvaluator
from litepose.search.config import SearchConfig
from litepose.search.limit import CostKind, Limit, written

if TYPE_CHECKING:
    import optuna

STUDY = "litepose"
TRIES = 40  # samples per evaluation: some exceed the limit, some were evaluated before
Say = Callable[[str], None]


def search(
    config: SearchConfig,
    limit: Limit | None = None,
    say: Say = lambda text: None,
    step: Callable[[int], None] = lambda done: None,
    opened: Callable[[], None] = lambda: None,
) -> list[Candidate]:
    """Evaluate candidates until there are `config.evaluations`; the Pareto front, cheapest first.

    An existing study in the output folder is resumed. step: called with the number done; opened:
    called as soon as other processes can join.
    Raises LitePoseError if the folder has another search, or no network meets the limit.
    """
    need("a search", "optuna", "matplotlib", extra="search")
    supernet = load_supernet(config.supernet)
    if config.threads:
        torch.set_num_threads(config.threads)
    kind = config.cost if limit is None else limit.kind
    evaluator = CandidateEvaluator(config, supernet, kind)
    _check_limit(evaluator, limit)
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    study = _open_study(config, supernet, kind, limit)
    opened()
    say(f"{len(supernet.space.genes())} genes; AP against {kind}, {folder}")
    _evolve(study, evaluator, config, limit, step)
    front = _front(study)
    _write_results(folder, evaluator, study, front, kind)
    return front


def _check_limit(evaluator: CandidateEvaluator, limit: Limit | None) -> None:
    if limit is None:
        return
    space = evaluator.supernet.space
    cost = evaluator.cost(space.arch(space.smallest_genes()))[0]
    if cost > limit.most:
        raise LitePoseError(
            f"no network of this supernet has {limit.kind} below {written(limit.kind, limit.most)};"
            f" the smallest has {written(limit.kind, cost)}"
        )


def _open_study(
    config: SearchConfig, supernet: Supernet, kind: CostKind, limit: Limit | None
) -> optuna.Study:
    """A new study, or the one in the output folder if its search is the same."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = (Path(config.output) / "study.db").resolve()
    settings = json.dumps(
        {
            "space": supernet.space.to_dict(),
            "supernet": sha256_of(Path(config.supernet)),
            "data": config.data.model_dump(mode="json"),
            "cost": kind,
            "limit": None if limit is None else limit.most,
            "sampler": config.sampler,
        },
        sort_keys=True,
    )
    study = _stored_study(path, config)
    known = study.user_attrs.get("settings")
    if known is None:
        study.set_user_attr("settings", settings)
        # Random genes average out: without these, the first generation has only middling costs.
        first = config.population if config.sampler == "evolution" else 2
        for genes in supernet.space.spread(first, random.Random(config.seed)):
            study.enqueue_trial(genes)
    elif known != settings:
        before, now = parse_json(known, "the study's settings"), parse_json(settings, "settings")
        other = [name for name in now if before.get(name) != now[name]]
        raise LitePoseError(
            f"{config.output} holds a search with another {' and '.join(other)}; give another"
            " output, or the settings of that search"
        )
    return study


def _stored_study(path: Path, config: SearchConfig) -> optuna.Study:
    """Open or create the study. Raises LitePoseError if the file is no study."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about experimental parts of optuna
        try:
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}}
            )
            study = optuna.create_study(
                study_name=STUDY, storage=storage, load_if_exists=True,
                directions=["maximize", "minimize"],
            )  # fmt: skip
        except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError) as exc:
            raise LitePoseError(
                f"{path} is damaged, or no study of a search; move it away to begin again:"
                f" {type(exc).__name__}"
            ) from None
        # A resumed sampler must not repeat its random numbers.
        seed = config.seed + 1000 * len(study.trials)
        if config.sampler == "random":
            study.sampler = optuna.samplers.RandomSampler(seed=seed)
        else:
            study.sampler = optuna.samplers.NSGAIISampler(
                population_size=config.population, seed=seed, constraints_func=_excess
            )
    return study


def _excess(trial: optuna.trial.FrozenTrial) -> Sequence[float]:
    return (trial.user_attrs.get("excess", 0.0),)


def _evolve(
    study: optuna.Study,
    evaluator: CandidateEvaluator,
    config: SearchConfig,
    limit: Limit | None,
    step: Callable[[int], None],
) -> None:
    space = evaluator.supernet.space
    choices = space.genes()
    for _ in range(TRIES * config.evaluations):
        known = _evaluated(study)
        step(len(known))
        if len(known) >= config.evaluations:
            return
        trial = study.ask()
        genes = {name: trial.suggest_categorical(name, c) for name, c in choices.items()}
        arch = space.arch(genes)
        before = known.get(_key(genes))
        if before is not None:  # NSGA-II proposes good candidates again
            _tell(study, trial, before, "repeated")
            continue
        cost, macs, params = evaluator.cost(arch)
        if limit is not None and cost > limit.most:
            trial.set_user_attr("excess", cost / limit.most - 1)
            study.tell(trial, [0.0, cost])
            continue
        ap = evaluator.ap(evaluator.network(arch), arch)
        _tell(study, trial, Candidate(genes, ap, cost, macs, params), "evaluated")


def _tell(study: optuna.Study, trial: optuna.Trial, candidate: Candidate, outcome: str) -> None:
    trial.set_user_attr(outcome, True)
    trial.set_user_attr("macs", candidate.macs)
    trial.set_user_attr("params", candidate.params)
    study.tell(trial, [candidate.ap, candidate.cost])


def _key(genes: Mapping[str, Any]) -> str:
    return json.dumps(genes, sort_keys=True)


def _evaluated(study: optuna.Study) -> dict[str, Candidate]:
    """Every candidate whose AP was measured, by its genes."""
    found = {}
    for trial in study.get_trials(deepcopy=False):
        if trial.values and trial.user_attrs.get("evaluated"):
            ap, cost = trial.values
            attrs = trial.user_attrs
            found[_key(trial.params)] = Candidate(
                dict(trial.params), ap, cost, attrs["macs"], attrs["params"]
            )
    return found


def _front(study: optuna.Study) -> list[Candidate]:
    """Candidates that no other beats in both AP and cost, cheapest first."""
    front: list[Candidate] = []
    for candidate in sorted(_evaluated(study).values(), key=lambda c: (c.cost, -c.ap)):
        if not front or candidate.ap > front[-1].ap:
            front.append(candidate)
    return front


def network_name(number: int) -> str:
    """Name of the file of a network of the front."""
    return f"network-{number:02d}.safetensors"


def _write_results(
    folder: Path,
    evaluator: CandidateEvaluator,
    study: optuna.Study,
    front: list[Candidate],
    kind: CostKind,
) -> None:
    """Write front.json with all evaluations, its plot, and each network of the front."""
    from litepose.search.plot import draw_front

    evaluated = list(_evaluated(study).values())
    rows = []
    for number, candidate in enumerate(front):
        arch = evaluator.supernet.space.arch(candidate.genes)
        name = network_name(number)
        extra = {"validation_ap": f"{candidate.ap:.3f}"}
        save_checkpoint(
            folder / name, evaluator.network(arch), evaluator.supernet.settings(arch), extra
        )
        rows.append({"file": name, **candidate.to_dict(), "network": describe(arch)})
    text = {"cost": kind, "front": rows, "evaluations": [c.to_dict() for c in evaluated]}
    write_atomically(folder / "front.json", json.dumps(text, indent=1).encode())
    draw_front(folder / "front.png", evaluated, front, kind)
