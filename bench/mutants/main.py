"""Mutation testing: small mistakes, made one at a time, and how many of them the tests notice.

    python -m bench.mutants [--part NAME] [--module PATH]... [--sample N] [--seed S] [--json]

A mutant is the project with one mistake in a module of `core.toml` or `delivery.toml`, the parts:
`<` for `<=`, + for -, a constant off by one, a negated condition, a wrong comparison of revisions.
Cosmic Ray makes them in a copy of the project. A mutant is killed if a test of its module fails, or
if the tests run much too long. A mutant without any observable change is equivalent: the known ones
are listed in these files, each with its reason, and are not counted.

N mutants of each module are drawn at random; the same seed draws the same ones. N = 0 takes all.
Tests marked slow are left out: two of a hundred would take most of the time.
"""

import argparse
import difflib
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from cosmic_ray import plugins
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec

from bench.mutants import sql as mutants_sql
from bench.mutants.forked import Forks, Run, forks
from bench.powercuts.recording import scratch_folder

ROOT = Path(__file__).resolve().parents[2]
PARTS = tuple(sorted(Path(__file__).parent.glob("*.toml")))

OPERATORS = re.compile(
    r"""core/(
        NumberReplacer | AddNot | Replace(True|False)With\w+ | Replace(And|Or)With\w+ |
        ReplaceBreakWithContinue | ReplaceContinueWithBreak | ZeroIterationForLoop |
        ReplaceUnaryOperator_Delete_(USub|Not) |
        ReplaceBinaryOperator_(Add_Sub | Sub_Add | Mul_Div | Div_Mul | FloorDiv_Mul | Pow_Mul) |
        ReplaceComparisonOperator_(Lt_(LtE|GtE) | LtE_(Lt|Gt) | Gt_(GtE|LtE) | GtE_(Gt|Lt) |
            Eq_NotEq | NotEq_Eq | Is_IsNot | IsNot_Is)
    ) | sql/\w+""",
    re.VERBOSE,
)
"""What a slip of the pen does. Cosmic Ray's others mostly crash at once, as `<<` between floats
does, and would only flatter the tests."""

SHARE = 0.9
"""Of the mutants that aren't equivalent: so many have to die."""

TIMES_LONGER, SPARE_S = 4.0, 20.0
"""A mutant runs for so many times as long as the tests alone, and so long in addition, at most."""

ALONE_S = 3600.0
"""For the tests alone, at most."""

PYTEST = ("-x", "-q", "--no-header", "-m", "not slow", "-p", "no:cacheprovider")
PLUGINS = ("-p", "pytest_timeout", "-p", "pytest_django.plugin")

Fate = Literal["killed", "timeout", "survived", "equivalent"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake, told by what it does to a line, wherever in its module the line stands."""

    module: str
    line: str
    becomes: str
    fate: Fate

    @property
    def key(self) -> tuple[str, str, str]:
        """As the plan lists it."""
        return self.module, self.line, self.becomes


@dataclass(slots=True)
class Result:
    """What became of one module's mutants.

    `made`: how many there are; `skipped`: how many of its tests did not run here; `took_s`: in
    seconds.
    """

    module: str
    made: int
    skipped: int = 0
    took_s: float = 0.0
    mutants: list[Mutant] = field(default_factory=list)

    def count(self, fate: Fate) -> int:
        """How many met it."""
        return Counter(mutant.fate for mutant in self.mutants)[fate]

    @property
    def died(self) -> int:
        """Killed, or running on for too long."""
        return self.count("killed") + self.count("timeout")

    @property
    def counted(self) -> int:
        """All but the equivalent ones."""
        return len(self.mutants) - self.count("equivalent")


@dataclass(frozen=True, slots=True)
class Module:
    """A module to mutate, and the files with its tests.

    `within`: only these of its functions, and its SQL; all if empty. `chosen`: which of the tests,
    as pytest's -k has it; all if empty. `part`: of the project.
    """

    path: str
    tests: tuple[str, ...]
    within: tuple[str, ...] = ()
    chosen: str = ""
    part: str = ""

    @property
    def arguments(self) -> list[str]:
        """What pytest needs to run its tests."""
        return [*PYTEST, *PLUGINS, *(("-k", self.chosen) if self.chosen else ()), *self.tests]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the parts say: the modules, and the known equivalent mutants.

    `choices`: names of constants of a module. A mutant of such a number is equivalent, too.
    """

    modules: dict[str, Module]
    equivalent: frozenset[tuple[str, str, str]]
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def knows(self, key: tuple[str, str, str], operator: str) -> bool:
        """Return whether nobody can see this mutant of `operator`."""
        chosen = "|".join(self.choices.get(key[0], ())) or "(?!)"
        is_choice = re.match(rf"(\w+, )*({chosen})\b[^=]* = ", key[1]) is not None
        return key in self.equivalent or (is_choice and operator == "core/NumberReplacer")


def read_plan(parts: Sequence[Path] = PARTS) -> Plan:
    """Raises KeyError for an equivalent mutant that lacks its reason."""
    plans = [_read(path) for path in parts]
    return Plan(
        {name: module for plan in plans for name, module in plan.modules.items()},
        frozenset().union(*(plan.equivalent for plan in plans)),
        {name: names for plan in plans for name, names in plan.choices.items()},
    )


def _read(path: Path) -> Plan:
    content = tomllib.loads(path.read_text())
    modules = {
        name: Module(
            name,
            tuple(table["tests"]),
            tuple(table.get("within", ())),
            table.get("chosen", ""),
            path.stem,
        )
        for name, table in content["modules"].items()
    }
    listed = [
        (each["module"], each["line"], becomes)
        for each in content.get("equivalent", [])
        if each["why"]
        for becomes in each["becomes"]
    ]
    choices = {name: tuple(names) for name, names in content.get("choices", {}).items()}
    return Plan(modules, frozenset(listed), choices)


@contextmanager
def copy_of(root: Path) -> Iterator[Path]:
    """Work in a copy of the project, so that no mistake is ever made in the project itself."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="mutants-", dir=scratch_folder()) as folder:
        copy, scratch = Path(folder) / "project", Path(folder) / "scratch"
        scratch.mkdir()
        shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        os.environ.setdefault("BLINKLOG_DATA", str(root.parent / "shared" / "data"))
        # Each plugin costs every mutant its import.
        os.environ.update(PYTHONPATH=str(copy), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
        os.environ["TMPDIR"] = str(scratch)  # in memory: no test waits for a slow disk
        os.environ.pop("HYPOTHESIS_PROFILE", None)  # the same examples for each mutant
        try:
            with chdir(copy):
                yield copy
        finally:
            os.environ.clear()
            os.environ.update(before)


def mistakes(module: Module) -> list[MutationSpec]:
    """All that can be made in a module of the current folder, in the order of the text.

    Three kinds of places are left out: decorators, for nobody can see whether a record has slots;
    stars that multiply nothing, as before keyword arguments; rows of a table of numbers, which one
    test compares with the numbers and which would be most of `agent/face/eyes.py`.
    """
    mutants_sql.register()
    with tempfile.NamedTemporaryFile(suffix=".sqlite") as session, use_db(session.name) as db:
        init([Path(module.path)], db, {})
        found = [spec for item in db.work_items for spec in item.mutations]
    lines = Path(module.path).read_text().splitlines()
    wanted = [
        spec
        for spec in found
        if OPERATORS.fullmatch(spec.operator_name)
        and not _is_left_out(lines[spec.start_pos[0] - 1], spec.start_pos[1])
        and (
            not module.within
            or spec.definition_name in module.within
            or spec.operator_name.startswith("sql/")
        )
    ]
    return sorted(wanted, key=lambda spec: (spec.start_pos, spec.operator_name, spec.occurrence))


def _is_left_out(line: str, column: int) -> bool:
    """A decorator, a row of numbers, or a star before an argument."""
    multiplies = line[:column].rstrip()[-1:] not in ("", "(", "[", "{", ",")
    return (
        line.lstrip().startswith("@")
        or re.fullmatch(r"[\d, ]+", line) is not None
        or (line.startswith("*", column) and not multiplies)
    )


def drawn(specs: Sequence[MutationSpec], module: str, number: int, seed: int) -> list[MutationSpec]:
    """`number` of them at random, or all for 0, in the order of the text."""
    if not 0 < number < len(specs):
        return list(specs)
    places = random.Random(f"{seed} {module}").sample(range(len(specs)), number)
    return [specs[place] for place in sorted(places)]


def judge(module: Module, plan: Plan, number: int, seed: int) -> Result:
    """Try mutants of a module of the current folder. Exits if its tests fail without any."""
    began = time.monotonic()
    with forks(with_server=module.path.startswith("agent/")) as tests:
        alone = tests.run(module.arguments, ALONE_S, keep=True)
        if alone.status != 0:
            sys.exit(f"{module.path}: its tests fail without any mutant\n{alone.output}")
        limit_s = TIMES_LONGER * (time.monotonic() - began) + SPARE_S
        specs = mistakes(module)
        skipped = re.search(r"(\d+) skipped", alone.output)
        result = Result(module.path, len(specs), int(skipped[1]) if skipped else 0)
        for spec in drawn(specs, module.path, number, seed):
            mutant = _tried(spec, tests, module, limit_s, plan)
            told = f"{mutant.fate:>10}  {mutant.line}  ->  {mutant.becomes}"
            print(told, file=sys.stderr, flush=True)
            result.mutants.append(mutant)
    result.took_s = time.monotonic() - began
    return result


def _tried(spec: MutationSpec, tests: Forks, module: Module, limit_s: float, plan: Plan) -> Mutant:
    operator = plugins.get_operator(spec.operator_name)(**spec.operator_args)
    with use_mutation(Path(spec.module_path), operator, spec.occurrence) as (before, after):
        if after is None:
            raise RuntimeError(f"{spec}: there is no such mutation")
        run = tests.run(module.arguments, limit_s)
    diff = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="")
    key = (module.path, *changed("\n".join(diff)))
    return Mutant(*key, _fate(run, known=plan.knows(key, spec.operator_name)))


def _fate(run: Run, *, known: bool) -> Fate:
    if run.status is None:
        return "timeout"
    if run.status:
        return "killed"
    return "equivalent" if known else "survived"


def changed(diff: str) -> tuple[str, str]:
    """The first line that a diff takes away, and the first that it puts in, without indents.

    Cosmic Ray leaves gaps where it changed something: they are closed.
    """
    lines = diff.splitlines()
    line, becomes = (
        next((each for each in lines if each[:1] == sign and each[:3] != 3 * sign), sign)
        for sign in "-+"
    )
    return line[1:].strip(), re.sub(r"(?<=[(\[]) |(?<=\w=) ", "", " ".join(becomes[1:].split()))


def summary(results: Iterable[Result]) -> str:
    """The table, then who survived."""
    results = list(results)
    head = ("module", "can be made", "tried", "killed", "timed out", "survived", "equivalent")
    rows = [head, *[_row(result) for result in results]]
    total = [sum(int(row[column]) for row in rows[1:]) for column in range(1, len(head))]
    rows.append(("all", *map(str, total)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    died, counted = sum(each.died for each in results), sum(each.counted for each in results)
    lines += ["", f"{died} of {counted} that are not equivalent died ({share(results):.1%})"]
    lines += [
        f"survived: {mutant.module}: {mutant.line}  ->  {mutant.becomes}"
        for result in results
        for mutant in result.mutants
        if mutant.fate == "survived"
    ]
    lines += [
        f"!! {each.module}: {each.skipped} of its tests were skipped here and could notice nothing"
        for each in results
        if each.skipped
    ]
    return "\n".join(lines)


def _row(result: Result) -> tuple[str, ...]:
    fates: tuple[Fate, ...] = ("killed", "timeout", "survived", "equivalent")
    counts = [result.made, len(result.mutants), *[result.count(fate) for fate in fates]]
    return (result.module, *map(str, counts))


def share(results: Iterable[Result]) -> float:
    """Of the mutants that aren't equivalent, how many died; 1 if there was none."""
    results = list(results)
    counted = sum(each.counted for each in results)
    return sum(each.died for each in results) / counted if counted else 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 1 if fewer than `SHARE` died."""
    plan = read_plan()
    parser = argparse.ArgumentParser(prog="bench.mutants", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--part", choices=sorted({each.part for each in plan.modules.values()}),
        help="only the modules of this part",
    )  # fmt: skip
    parser.add_argument(
        "--module", action="append", choices=plan.modules, metavar="PATH",
        help="only this module, such as agent/measure/gaze.py; can be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--sample", type=int, default=15, metavar="N", help="mutants of each module; 0 takes all"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    with copy_of(ROOT):
        results = [
            judge(plan.modules[name], plan, options.sample, options.seed)
            for name in options.module or plan.modules
            if options.part in (None, plan.modules[name].part)
        ]
    told: dict[str, Any] = {"sample": options.sample, "seed": options.seed, "died": share(results)}
    told["modules"] = [asdict(result) for result in results]
    print(json.dumps(told, indent=2) if options.json else summary(results))
    return 0 if share(results) >= SHARE else 1


if __name__ == "__main__":
    sys.exit(main())
