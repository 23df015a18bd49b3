"""bench.mutants: mistakes are made in a copy, and noticed or not; the known ones still exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.mutants import main as mutants
from bench.mutants import sql as mutants_sql
from bench.mutants.main import Module, Mutant, Plan, Result

pytest.importorskip("cosmic_ray")

TINY = {
    "rule.py": '''"""A rule."""

PUT = "UPDATE kept SET revision = :new WHERE kept.revision < :new"


@staticmethod
def newer(kept: int, new: int) -> bool:
    return new > kept


def half(number: int, *, least: int) -> int:
    return max(*TABLE, number // 2, least)


TABLE = [
    1, 2,
    3,
]
''',
    "test_rule.py": """from rule import newer


def test_a_higher_revision_is_newer() -> None:
    assert newer(1, 2)
    assert not newer(2, 1)
""",
    "pyproject.toml": "[tool.pytest.ini_options]\nmarkers = ['slow']\n",
}


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A project of one module, whose tests say nothing about equal revisions."""
    project = tmp_path / "tiny"
    project.mkdir()
    for name, text in TINY.items():
        (project / name).write_text(text)
    with mutants.copy_of(project) as copy:
        yield copy


RULE = Module("rule.py", ("test_rule.py",))


def test_mistakes_are_made_in_the_rule_and_in_its_sql(tiny: Path) -> None:
    assert tiny.joinpath("rule.py").read_text() == TINY["rule.py"]
    made = [spec.operator_name.partition("/")[2] for spec in mutants.mistakes(RULE)]
    assert made == [
        "RevisionComparison", "RevisionComparison",
        "ReplaceComparisonOperator_Gt_GtE", "ReplaceComparisonOperator_Gt_LtE",
        "ReplaceBinaryOperator_FloorDiv_Mul", "NumberReplacer", "NumberReplacer",
    ]  # fmt: skip


def test_stars_of_arguments_decorators_and_tables_are_left_out(tiny: Path) -> None:
    lines = TINY["rule.py"].splitlines()
    touched = {lines[spec.start_pos[0] - 1].strip() for spec in mutants.mistakes(RULE)}
    assert touched == {lines[2], "return new > kept", "return max(*TABLE, number // 2, least)"}


def test_only_the_functions_asked_for_are_mutated_and_the_sql(tiny: Path) -> None:
    within = Module("rule.py", (), within=("half",))
    assert [spec.definition_name for spec in mutants.mistakes(within)] == [None] * 2 + ["half"] * 3


def test_a_mistake_is_noticed_or_survives_or_is_known(tiny: Path, tmp_path: Path) -> None:
    equal = ("rule.py", "return new > kept", "return new >= kept")
    module = Module("rule.py", ("test_rule.py",), within=("newer",))
    plan = Plan({}, frozenset({("rule.py", TINY["rule.py"].splitlines()[2], _sql("<="))}))
    result = mutants.judge(module, plan, 0, 1)
    fates = {mutant.becomes: mutant.fate for mutant in result.mutants}
    assert fates == {
        _sql("<="): "equivalent",
        _sql(">="): "survived",
        equal[2]: "survived",
        "return new <= kept": "killed",
    }
    assert (tmp_path / "tiny" / "rule.py").read_text() == TINY["rule.py"]
    assert (tiny / "rule.py").read_text() == TINY["rule.py"]


def _sql(sign: str) -> str:
    return TINY["rule.py"].splitlines()[2].replace("revision <", f"revision {sign}")


def test_tests_that_fail_by_themselves_say_nothing_about_mutants(tiny: Path) -> None:
    (tiny / "test_rule.py").write_text("def test_it():\n    assert False\n")
    with pytest.raises(SystemExit, match="fail without any mutant"):
        mutants.judge(RULE, Plan({}, frozenset()), 0, 1)


def test_tests_that_skip_are_said_and_slow_ones_left_out(tiny: Path) -> None:
    marked = "import pytest\n\n\n@pytest.mark.{}\ndef test_{}() -> None:\n    assert False\n"
    (tiny / "test_rule.py").write_text(TINY["test_rule.py"] + marked.format("skip", "a"))
    (tiny / "test_slow.py").write_text(marked.format("slow", "b"))
    module = Module("rule.py", ("test_rule.py", "test_slow.py"), within=("nothing",))
    assert mutants.judge(module, Plan({}, frozenset()), 1, 1).skipped == 1


def test_of_a_modules_tests_some_can_be_chosen(tiny: Path) -> None:
    (tiny / "test_rule.py").write_text(f"{TINY['test_rule.py']}\n\ndef test_b():\n    assert 0\n")
    module = Module("rule.py", ("test_rule.py",), ("nothing",), chosen="newer and not b")
    assert mutants.judge(module, Plan({}, frozenset()), 1, 1).counted == 1


def test_the_same_seed_draws_the_same_mutants(tiny: Path) -> None:
    specs = mutants.mistakes(RULE)
    first, again = mutants.drawn(specs, "rule.py", 3, 7), mutants.drawn(specs, "rule.py", 3, 7)
    assert first == again
    assert len(first) == 3
    assert mutants.drawn(specs, "rule.py", 0, 7) == mutants.drawn(specs, "rule.py", 99, 7) == specs


def test_an_equivalent_mutant_is_known_by_what_it_does_to_a_line() -> None:
    diff = (
        "--- mutation diff ---\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n same\n-    a < b\n+    a  <=b\n"
    )
    assert mutants.changed(diff) == ("a < b", "a <=b")
    gaps = "--- a\n+++ b\n-f(x[0], y=1)\n+f(x[ 1], y= 2)\n"
    assert mutants.changed(gaps) == ("f(x[0], y=1)", "f(x[1], y=2)")


def test_the_summary_counts_all_but_the_equivalent() -> None:
    fates = ["killed", "killed", "timeout", "survived", "equivalent"]
    result = Result("a.py", 90, 2, mutants=[Mutant("a.py", "x", "y", f) for f in fates])  # type: ignore[arg-type]
    assert (result.died, result.counted, mutants.share([result])) == (3, 4, 0.75)
    said = mutants.summary([result])
    assert "3 of 4 that are not equivalent died (75.0%)" in said
    assert "survived: a.py: x  ->  y" in said
    assert "!! a.py: 2 of its tests were skipped here" in said
    assert "skipped" not in mutants.summary([Result("a.py", 90)])
    assert mutants.share([]) == 1.0


def test_revisions_are_compared_the_wrong_way_in_strings_only() -> None:
    assert mutants_sql.SWAPS[">"] == (">=", "<=")
    assert mutants_sql.COMPARISON.findall("a.revision > 1 AND 2 < revision AND x <= :revision") == [
        ">"
    ]


def test_a_choice_is_a_number_under_its_name_and_nothing_else() -> None:
    plan = Plan({}, frozenset(), {"a.py": ("LIMIT_S", "FEW")})

    def known(line: str, operator: str = "NumberReplacer", module: str = "a.py") -> bool:
        return plan.knows((module, line, "x"), f"core/{operator}")

    assert known("LIMIT_S = 3.0")
    assert known("OTHER, LIMIT_S = 3, 60.0")
    assert known("FEW: int = 3  # or four")
    assert not known("LIMITS = 3")
    assert not known("if left_s == LIMIT_S = 3")
    assert not known("LIMIT_S = not 3.0", "ReplaceUnaryOperator_Delete_Not")
    assert not known("LIMIT_S = 3.0", module="b.py")


# The lists of this project

PLAN = mutants.read_plan()


def test_each_part_is_a_list_of_its_own() -> None:
    assert {module.part for module in PLAN.modules.values()} == {"core", "delivery"}
    sizes = [len(mutants.read_plan([part]).modules) for part in mutants.PARTS]
    assert sum(sizes) == len(PLAN.modules), "no module is in two"


def test_each_choice_is_a_constant_that_is_there() -> None:
    for module, names in PLAN.choices.items():
        assert module in PLAN.modules
        text = (mutants.ROOT / module).read_text()
        assert [name for name in names if not re.search(rf"\b{name}\b[^=\n]* = ", text)] == []


@pytest.mark.parametrize("module", PLAN.modules.values(), ids=lambda module: module.path)
def test_each_module_and_its_tests_are_there(module: Module) -> None:
    for path in (module.path, *module.tests):
        assert (mutants.ROOT / path).is_file()


def test_each_mutant_that_is_known_to_be_equivalent_is_of_a_line_that_is_there() -> None:
    for module, line, becomes in PLAN.equivalent:
        assert module in PLAN.modules
        lines = [each.strip() for each in (mutants.ROOT / module).read_text().splitlines()]
        assert line in lines, f"{module} has changed: is it still equivalent?"
        assert becomes != line
