"""Laws of the commands: whatever a person types is answered, and what cannot be in one sentence."""

import argparse
import os
import re
from functools import cache
from types import SimpleNamespace

import pytest
from luigi.cmdline_parser import CmdlineParser

from atelier import commands as ground
from atelier.errors import Refusal
from atelier.options import at_home
from detectors import parse
from pipeline import luigi_script, options
from pipeline.options import current
from pipeline.stages.ingest import IngestConfig
from tests.kit import command_lines
from tests.kit.command_lines import TASKS, WRONG

COMMANDS = command_lines.commands()
OPTIONS = command_lines.section_options()
every_command = pytest.mark.parametrize(
    "command", COMMANDS, ids=lambda each: " ".join([each.package, *each.words])
)
every_option = pytest.mark.parametrize("option", OPTIONS, ids=str)
PIPELINE = [each for each in OPTIONS if each.package == "pipeline"]
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.__name__)


@pytest.fixture(scope="module", autouse=True)
def quick():
    """What no command line changes is made once: parsers, the terminal."""
    with pytest.MonkeyPatch.context() as patch:
        for cli in command_lines.CLIS.values():
            patch.setattr(cli, "parser", cache(cli.parser))
        build = CmdlineParser._build_parser
        patch.setattr(CmdlineParser, "_build_parser", staticmethod(cache(build)))
        patch.setattr("shutil.get_terminal_size", lambda fallback=None: os.terminal_size((80, 24)))
        yield


def sentence(capsys, code):
    """What was said, which is one sentence; after it a command ends with 2."""
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1, err
    return err.removeprefix("error: ").rstrip("\n")


@every_command
def test_help_tells_of_every_option(command, capsys):
    assert command.run("--help") == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: ") and err == ""
    for flag in command.flags:
        assert flag in out
    assert all(action.help for action in command.actions)


@every_command
def test_help_tells_what_holds_where_an_option_is_not_given(command):
    for action in command.actions:
        if action.default not in (None, False, "", [], argparse.SUPPRESS):
            default = " ".join(action.default) if action.nargs == "+" else str(action.default)
            assert f"[{default.removesuffix('.0')}" in action.help, action.dest


@every_command
def test_a_misspelt_option_is_answered_with_the_nearest(command, capsys):
    for flag in command.flags:
        said = sentence(capsys, command.run(*command.filled(), f"{flag}x", "1"))
        assert said.endswith(f"there is no option {flag}x; did you mean {flag}?")


@every_command
def test_hyphens_and_underscores_are_the_same(command):
    for action in command.actions:
        for flag in filter(lambda name: "-" in name[2:], action.option_strings):
            value = [] if action.nargs in (0, "?") else ["1"]
            spelt = [
                vars(command.parser.parse_args([*command.filled(action), name, *value]))
                for name in (flag, "--" + flag[2:].replace("-", "_"))
            ]
            assert spelt[0] == spelt[1]


@every_command
def test_a_value_of_the_wrong_kind_is_one_sentence(command, capsys):
    words = (None, ground.path, at_home)
    for action in command.actions:
        if action.option_strings and (action.choices or action.type not in words):
            flag = action.option_strings[0]
            said = sentence(capsys, command.run(*command.filled(action), flag, "nonsense"))
            assert flag in said and "nonsense" in said


@every_command
def test_what_is_missing_or_too_much_is_one_sentence(command, capsys):
    if command.words:
        said = sentence(capsys, command.run(*command.filled(), "too", "much"))
        assert said.endswith("is one word too many; see --help")
    if command.filled():
        assert "are required: " in sentence(capsys, command.run())


@every_command
def test_a_misspelt_option_that_is_like_no_other_is_short(command, capsys):
    said = sentence(capsys, command.run(*command.filled(), "--qqqqqqqq"))
    assert len(said) < 400 and ("no option --qqqqqqqq; " in said or not command.words)


RESUMING = [("detectors", "train"), ("training", "train"), ("training", "distill")]


@pytest.mark.parametrize("package", ["detectors", "training"])
def test_what_does_not_resume_says_so_when_it_is_stopped(package):
    for command in (each for each in COMMANDS if each.package == package and each.words):
        said = None if (package, *command.words) in RESUMING else ground.ANEW
        assert command.parser.get_default("stopped") == said


@pytest.mark.parametrize("package", command_lines.CLIS)
def test_a_misspelt_command_is_answered_with_the_nearest(package, capsys):
    for command in (each for each in COMMANDS if each.package == package and each.words):
        said = sentence(capsys, command_lines.CLIS[package].main([f"{command.words[0]}x"]))
        assert said.endswith(f"did you mean {command.words[0]}?")


@every_option
def test_a_wrong_value_names_the_option_and_itself(option, capsys):
    for value in option.wrong:
        said = sentence(capsys, option.run(value))
        assert option.name in said and value in said


OF_A_MACHINE = ("--threads", "--devices")  # more than there can be would end in a library


@every_command
def test_no_command_takes_more_threads_or_devices_than_a_machine_can_have(command, capsys):
    named = [f"{flag}=X" for flag in ("--data", "--teacher") if flag in command.flags]
    for flag in command.flags:
        if flag in OF_A_MACHINE:
            said = sentence(capsys, command.run(*command.filled(), *named, f"{flag}=5000000000"))
            assert flag[2:] in said and "5000000000" in said and "between 0 and 4096" in said


@pytest.mark.parametrize("option", PIPELINE, ids=str)
def test_the_options_of_all_sections_are_known_by_their_names(option, capsys):
    cli = command_lines.CLIS["pipeline"]
    said = sentence(capsys, cli.main(["options", f"{option.flag}x", "1"]))
    assert f"did you mean {option.name}?" in said
    said = sentence(capsys, cli.main(["run", "--" + option.flag[2:].lower(), "1"]))
    assert said.endswith(f"did you mean {option.flag}?")
    said = sentence(capsys, cli.main(["options", option.flag]))
    assert said == f"{option.flag}: give a value"
    for spelt in (option.flag, f"--{options.section(option.section)}-{option.name}"):
        assert cli.set_options(["options", spelt, shown(option)]) == ["options"]


def shown(option):
    """Its default, as a person writes it."""
    (field,) = [f for f in option.section.__dataclass_fields__.values() if f.name == option.name]
    return str(field.default)


ABOUT_PATHS = r"\b(file|folder|checkpoint of|labels of the pictures)\b"
NO_PATHS = {"name", "format", "detector"}  # the text of a detector holds paths: below


def test_what_names_a_file_or_a_folder_is_a_path():
    for option in OPTIONS:
        about = re.search(ABOUT_PATHS, option.known["help"], re.IGNORECASE)
        named = about is not None and option.name not in NO_PATHS
        assert option.known["path"] == named, option


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of one's own, with a file in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "there").write_text("")
    return tmp_path


@pytest.mark.parametrize("option", [each for each in OPTIONS if each.known["path"]], ids=str)
def test_a_path_may_begin_with_a_tilde(option, home):
    section = option.section(**{option.name: "~/there"})
    assert getattr(section, option.name) == str(home / "there")
    nobody = option.section.__dataclass_fields__[option.name].metadata["path"]
    assert nobody and at_home("~nobody-of-this-name/x") == "~nobody-of-this-name/x"


@every_command
def test_a_path_on_a_command_line_may_begin_with_a_tilde(command, home):
    for action in command.actions:
        if action.type in (ground.path, at_home):
            words = [*command.filled(action), *action.option_strings[:1], "~/there"]
            given = vars(command.parser.parse_args(words))[action.dest]
            found = given[0] if isinstance(given, list) else given
            assert str(found) == str(home / "there") or not action.option_strings


@pytest.mark.parametrize("option", [each for each in OPTIONS if each.known["path"]], ids=str)
def test_a_path_is_no_address_unless_it_may_be(option):
    if option.known["remote"]:
        section = option.section(**{option.name: "s3://bucket/x"})
        assert getattr(section, option.name) == "s3://bucket/x"
        return
    with pytest.raises(Refusal, match=r"'s3://bucket/x': .* lies on a file system: give a "):
        option.section(**{option.name: "s3://bucket/x"})


@every_command
def test_a_path_on_a_command_line_is_no_address(command, capsys):
    for action in command.actions:
        if action.type is ground.path:
            words = [*command.filled(action), *action.option_strings[:1], "s3://bucket/x"]
            said = sentence(capsys, command.run(*words))
            assert "s3://bucket/x: it lies on a file system" in said or not action.option_strings


def test_a_detector_may_lie_at_home(home):
    spec = parse("tfod:~/a%2Cb.pb?labels=~/there")
    assert (spec.model, spec.labels) == (f"{home}/a,b.pb", f"{home}/there")


@pytest.mark.parametrize("option", PIPELINE, ids=str)
def test_a_per_cent_sign_in_a_recipe_is_written_twice(option, tmp_path, capsys):
    name, recipe = options.section(option.section), tmp_path / "recipe.cfg"
    recipe.write_text(f"[{name}]\n{option.name} = a%2Cb\n")
    with options.recipe(recipe):
        said = sentence(capsys, command_lines.CLIS["pipeline"].main(["options"]))
    assert said == f"[{name}] {option.name} = a%2Cb: write %% for a per cent sign"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[Ingest]\nsource = ${NO_SUCH}/x\n",
            "[Ingest] source = ${NO_SUCH}/x: ${NO_SUCH} is not set",
        ),
        ("[core]\nworkers = many\n", "[core] workers = 'many': invalid literal for int()"),
        ("[retcode]\ntask_failed = 100%\n", "[retcode] task_failed = 100%: write %% for"),
    ],
)
def test_what_else_a_recipe_cannot_say_is_one_sentence(text, said, tmp_path, capsys):
    (tmp_path / "recipe.cfg").write_text(text)
    with options.recipe(tmp_path / "recipe.cfg"):
        found = sentence(capsys, command_lines.CLIS["pipeline"].main(["status"]))
    assert found.startswith(said)


def test_a_per_cent_sign_is_itself_on_a_command_line_and_twice_in_a_recipe(tmp_path):
    options.set_option("Ingest-source", "/100% photos/%(x)s")
    assert current(IngestConfig).source == "/100% photos/%(x)s"
    (tmp_path / "recipe.cfg").write_text("[Ingest]\nsource = /100%% photos\n")
    with options.recipe(tmp_path / "recipe.cfg"):
        assert current(IngestConfig).source == "/100% photos"


# Plain `luigi --module pipeline TASK`: what it is told is checked before Luigi reads it.


def asked(task, *words):
    """The sentence about a command line of Luigi's; empty where there is nothing to say."""
    line = ["--module", "pipeline", task if isinstance(task, str) else task.__name__, *words]
    try:
        return "" if luigi_script.check(line, TASKS) == 0 else None
    except Refusal as error:
        assert error.code == 2 and "\n" not in str(error)
        return str(error)


@every_task
@pytest.mark.parametrize("flag", ["--help", "--help-all"])
def test_luigi_helps_with_every_task(task, flag, capsys):
    with pytest.raises(SystemExit) as end:
        CmdlineParser(["--module", "pipeline", task.__name__, flag])
    assert not end.value.code
    out = capsys.readouterr().out
    for name, parameter in task.get_params():
        assert f"--{task.__name__}-{name.replace('_', '-')} " in out
        assert parameter.description
    assert asked(task, flag) == ""


@pytest.mark.slow
@every_task
def test_luigi_knows_what_a_misspelt_option_was_meant_to_be(task):
    for name, _ in task.get_params():
        own = f"--{name.replace('_', '-')}"
        for flag in (own, f"--{task.__name__}-{own[2:]}"):
            said = asked(task, f"{flag}x", "1")
            assert said == f"luigi: there is no option {flag}x; did you mean {flag}?"
        if "_" in name:
            said = asked(task, f"--{task.__name__}-{name}", "1")
            assert said.endswith(f"did you mean --{task.__name__}-{name.replace('_', '-')}?")


@every_task
def test_luigi_says_what_a_misspelt_task_was_meant_to_be(task):
    assert asked(f"{task.__name__}x").endswith(f"did you mean {task.__name__}?")
    assert asked(task, task.__name__).endswith("is one word too many; see --help")


def test_luigi_takes_every_option_of_every_section():
    assert asked("Ingest", *(f"{option.flag}={shown(option)}" for option in PIPELINE)) == ""


@every_task
def test_luigi_refuses_a_wrong_value_as_the_pipeline_does(task):
    for option in [each for each in OPTIONS if each.flag.startswith(f"--{task.__name__}-")]:
        for value in option.wrong[:1]:
            said = asked("Ingest", f"{option.flag}={value}")
            assert option.name in said and value in said
            options.set_option(option.flag[2:], shown(option))


def test_luigi_says_in_one_sentence_which_option_has_no_value():
    for option in PIPELINE:
        told = asked("Ingest", option.flag)
        assert told == f"luigi: argument {option.flag}: expected one argument"


@every_task
def test_luigi_refuses_a_wrong_value_of_the_tasks_own(task):
    own = [each for each in OPTIONS if each.flag.startswith(f"--{task.__name__}-")]
    wrong = [(each.name, value) for each in own for value in each.wrong[:1]]
    wrong += [("photos", "nonsense")] if hasattr(task, "photos") else []
    for name, value in wrong:
        assert value in asked(task, f"--{name.replace('_', '-')}={value}")


AT_LEAST_ONE = "give a value of at least 1"


def test_luigis_own_options_are_checked_too(monkeypatch):
    assert asked("Ingest", "--workers", WRONG[int]).startswith("--workers = 'many': ")
    for few in ("0", "-1"):
        assert asked("Ingest", f"--workers={few}") == f"--workers = {few!r}: {AT_LEAST_ONE}"
    monkeypatch.setattr(luigi_script, "get_config", lambda: SimpleNamespace(get=lambda *_: "0"))
    assert asked("Ingest") == f"[core] workers = '0': {AT_LEAST_ONE}"


@pytest.mark.parametrize(
    ("words", "about_us"),
    [
        (["--module", "pipeline", "Ingest"], True),
        (["Ingest", "--module=pipeline.tasks"], True),
        (["--module", "mine", "Ingest"], False),
        (["--module", "pipelines", "Ingest"], False),
        (["Ingest"], False),
    ],
)
def test_tasks_of_somebody_else_are_left_alone(words, about_us):
    assert luigi_script.names_us(words) == about_us


@every_command
def test_a_path_that_cannot_be_is_one_sentence(command, capsys, tmp_path):
    (loop := tmp_path / "loop").symlink_to(loop)
    told_of = {"": "it is empty: give a path", f"a/{'x' * 256}": "256 bytes"}
    told_of |= {str(loop): "lead in a circle", f"{loop}/store": "lead in a circle"}
    for action in command.actions:
        if action.option_strings and action.type is ground.path:
            flag = action.option_strings[0]
            for value, told in told_of.items():
                said = sentence(capsys, command.run(*command.filled(action), f"{flag}={value}"))
                assert flag in said and told in said and value in said


NUMBERS = ("0.5", "best 0.5", "0.1-0.9")
IN_WORDS = {
    ("FilterPoseConfig", "limit"),
    ("FilterQualityConfig", "dark"),
    ("PortraitConfig", "shrink"),
}
NO_NUMBERS = ("nan", "inf", "-inf", "1e999", "best nan", "worst inf", "qnan", "0-inf", "0:nan")


@pytest.mark.parametrize("option", PIPELINE, ids=str)
def test_a_number_within_a_word_is_finite(option, capsys):
    """What takes numbers in some form, and no word, takes none that is infinite or no number."""
    takes = [value for value in NUMBERS if option.kind is str and option.run(value) == 0]
    if takes and option.run("word"):
        capsys.readouterr()
        for value in NO_NUMBERS:
            assert value in sentence(capsys, option.run(value))
    assert takes or (option.section.__name__, option.name) not in IN_WORDS
