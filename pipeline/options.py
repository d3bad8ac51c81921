"""Bridges settings dataclasses and Luigi parameters: an option is declared once.

A section of luigi.cfg is one frozen dataclass: `[Crop]` is `CropConfig`.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from configparser import InterpolationError
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import Field, dataclass, fields, make_dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar

import luigi
from luigi.configuration import LuigiConfigParser, get_config
from luigi.task_register import Register, TaskClassException

from atelier.options import OptionError, Section, hints_of, nearest, shown, span


def repository() -> Path:
    """The checkout that this module lies in; of an installed Atelier the project's folder.

    That is where LUIGI_CONFIG_PATH's file lies, or else the current folder.
    """
    code = Path(__file__).resolve().parent.parent
    if (code / "pyproject.toml").is_file():
        return code
    recipe = os.environ.get("LUIGI_CONFIG_PATH", "")
    return Path(recipe).resolve().parent if recipe else Path.cwd()


REPOSITORY = repository()
T = TypeVar("T")
C = TypeVar("C", bound="Settings")

SECTIONS: dict[type["Settings"], type] = {}


class SettingsError(OptionError):
    """A setting that cannot be: the message names it, its value and the way out."""


@dataclass(frozen=True)
class Settings(Section):
    """The options of one section of luigi.cfg."""

    refusal = SettingsError

    def __post_init__(self) -> None:
        super().__post_init__()
        for f in fields(self):
            value = getattr(self, f.name)
            if may_name_a_file(f, value) and located(value).is_file():
                object.__setattr__(self, f.name, str(located(value)))

    @classmethod
    def called(cls, name: str) -> str:
        return f"[{section(cls)}] {name}"


class OptionParameter(luigi.Parameter):
    """One option as Luigi knows it, from luigi.cfg or its command line."""

    def __init__(self, config_class: type[Settings], f: "Field[Any]", kind: Any) -> None:
        # argparse, which prints the help, takes a per cent sign for the start of a format.
        super().__init__(default=f.default, description=f.metadata["help"].replace("%", "%%"))
        self.config_class, self.field, self.kind = config_class, f, kind

    def parse(self, text: str) -> Any:
        return self.normalize(text)

    def normalize(self, value: Any) -> Any:
        known = self.field.metadata
        return self.config_class.checked(self.field.name, self.kind, value, known)

    def serialize(self, value: Any) -> str:
        return shown(value)


def section(config_class: type[Settings]) -> str:
    """The name of its section in luigi.cfg."""
    return config_class.__name__.removesuffix("Config")


def settings(config_class: type[Settings]) -> Callable[[type[T]], type[T]]:
    """Give a task one Luigi parameter per field of `config_class`, gathered as `.config`."""

    def decorate(task: type[T]) -> type[T]:
        assert task.__name__ == section(config_class)
        hints = hints_of(config_class)
        names = [f.name for f in fields(config_class)]
        for f in fields(config_class):
            parameter = OptionParameter(config_class, f, hints[f.name])
            setattr(task, f.name, parameter)
            parameter.__set_name__(task, f.name)  # Luigi's parameters are descriptors since 3.8
        gather = property(
            lambda self: config_class(**{name: getattr(self, name) for name in names})
        )
        setattr(task, "config", gather)  # noqa: B010
        # Luigi would look through all that a class has for every task that is asked for.
        own: Any = cache(getattr(task, "get_params").__func__)  # noqa: B009
        setattr(task, "get_params", classmethod(own))  # noqa: B010
        SECTIONS[config_class] = task
        return task

    return decorate


def current(config_class: type[C]) -> C:
    """A section's options as luigi.cfg and the command line set them."""
    config: C = SECTIONS[config_class]().config  # type: ignore[attr-defined]
    return config


def keyed(config: Settings) -> dict[str, Any]:
    """What of a section enters a key."""
    entries = {}
    for f in fields(config):
        value = getattr(config, f.name)
        if may_name_a_file(f, value) and Path(value).is_file():
            value = file_digest(Path(value).resolve(), os.stat(value).st_mtime_ns)
        unchanged = (f.metadata["later"] and value == f.default) or is_as_it_was(f, value)
        if f.metadata["keyed"] != "never" and not unchanged:
            entries[f.name] = value
    return entries


def may_name_a_file(f: "Field[Any]", value: Any) -> bool:
    """Whether an option has this value for a file whose content counts."""
    known = f.metadata
    return known["keyed"] == "content" and bool(value) and value not in known["words"]


def is_as_it_was(f: "Field[Any]", value: Any) -> bool:
    """Whether an option asks for what was done before there was such an option."""
    return f.metadata["was"] is not None and bool(value == f.metadata["was"])


@lru_cache
def file_digest(path: Path, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:20]


def with_options(
    base: type[C], name: str, declared: Iterable[tuple[str, Any, "Field[Any]"]]
) -> type[C]:
    """A section called `name`: `base` with these options, each a (name, type, field)."""
    told = {"__doc__": base.__doc__}
    return make_dataclass(name, declared, bases=(base,), frozen=True, namespace=told)


def located(path: str) -> Path:
    """A path as a person gives it: relative to where they are, or else to the repository."""
    here, there = Path(path).absolute(), REPOSITORY / path
    return there if there.exists() and not here.exists() else here


def find_repository_config() -> None:
    """Let Luigi read the repository's luigi.cfg first, from any working directory.

    The person's recipe comes last, whatever its name: one called *.ini Luigi leaves to others.
    """
    own, recipe = str(REPOSITORY / "luigi.cfg"), os.environ.get("LUIGI_CONFIG_PATH", "")
    known = LuigiConfigParser._config_paths
    more = [recipe] if recipe and recipe not in known else []
    if own not in known or more:
        LuigiConfigParser._config_paths = [own, *(path for path in known if path != own), *more]
        if not Path(own).is_file():  # installed, in a new project: what Luigi itself needs
            get_config().read_string(LUIGI)
        LuigiConfigParser.reload()


@contextmanager
def recipe(path: Path) -> Iterator[None]:
    """Use another recipe than this command's for a while."""
    with apart():
        LuigiConfigParser._config_paths = [str(REPOSITORY / "luigi.cfg"), str(path)]
        LuigiConfigParser._instance = None
        yield


@contextmanager
def apart() -> Iterator[None]:
    """What is set meanwhile is forgotten afterwards; tasks are made anew, and look anew."""
    paths, config = LuigiConfigParser._config_paths, LuigiConfigParser._instance
    LuigiConfigParser._instance = deepcopy(config)
    Register.clear_instance_cache()
    try:
        yield
    finally:
        LuigiConfigParser._config_paths, LuigiConfigParser._instance = paths, config
        Register.clear_instance_cache()


def check_recipe() -> None:
    """Raise SettingsError for a section, an option or a value of luigi.cfg that cannot be.

    Sections of ours begin with a capital letter; Luigi's own do not.
    """
    check_recipe_file(os.environ.get("LUIGI_CONFIG_PATH", ""))
    ours = {section(config): config for config in SECTIONS}
    lower = {name.lower() for name in ours}
    config = get_config()
    for key in config.defaults():
        raise SettingsError(f"[DEFAULT] {key}: no option is every section's: put it into its own")
    for name in config.sections():
        if not name.strip()[:1].isupper() and name.strip() not in lower:
            check_luigis(name)
            continue
        if name not in ours:
            raise SettingsError(f"[{name}]: there is no such section{nearest(name, ours)}")
        known = {f.name for f in fields(ours[name])}
        given = {key.replace("-", "_"): read(name, key) for key in config.options(name)}
        for key in given.keys() - known:
            raise SettingsError(f"[{name}] {key}: there is no such option{nearest(key, known)}")
        ours[name](**given)


def check_recipe_file(recipe: str) -> None:
    """Raise SettingsError where LUIGI_CONFIG_PATH names a file that is no recipe."""
    if recipe.endswith(".toml"):
        raise SettingsError(f"LUIGI_CONFIG_PATH = {recipe}: a recipe is no TOML: call it *.cfg")
    if recipe and not Path(recipe).is_file():
        wrong = "that is no file" if Path(recipe).exists() else "there is no such file"
        raise SettingsError(f"LUIGI_CONFIG_PATH = {recipe}: {wrong}")
    if recipe and not os.access(recipe, os.R_OK):
        raise SettingsError(f"LUIGI_CONFIG_PATH = {recipe}: you may not read that file")


def check_luigis(section: str) -> None:
    """Raise SettingsError for a value that cannot be in a section of Luigi's own."""
    given = {key: read(section, key) for key in get_config().options(section)}
    try:
        known = Register.get_task_cls(section).get_params()
    except TaskClassException:  # of none, or of several
        return
    for name, parameter in known:
        if name in given:
            checked_value(f"[{section}] {name}", parameter, given[name])


def checked_value(what: str, parameter: luigi.Parameter, value: str) -> Any:
    """The value of a parameter, ours or Luigi's; raises SettingsError where it cannot have it."""
    try:
        return parameter.parse(value)
    except SettingsError:
        raise
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{what} = {value!r}: {' '.join(str(error).split())}") from None


def read(section: str, key: str) -> str:
    """What a file of options says; raises SettingsError where it is put together wrongly."""
    try:
        return str(get_config().get(section, key))
    except InterpolationError as error:
        raw = get_config().get(section, key, raw=True)
        variable = re.search(r"environment variable (.+?)\. Section", str(error))
        way_out = f"${{{variable[1]}}} is not set" if variable else "write %% for a per cent sign"
        raise SettingsError(f"[{section}] {key} = {raw}: {way_out}") from None


def recipe_value(section: str, key: str) -> str:
    """What the recipe or the command line says of an option, as it is written; empty: nothing."""
    return read(section, key) if get_config().has_option(section, key) else ""


def check_given(config: Settings) -> None:
    """Raise SettingsError where one task was given what other stages read, too."""
    if type(config) in SECTIONS and config != current(type(config)):
        name = section(type(config))
        raise SettingsError(
            f"give the options of {name} as --{name}-option, so that all stages see it"
        )


def names() -> list[str]:
    """Every option as a command line has it."""
    return [
        f"--{section(config)}-{f.name.replace('_', '-')}"
        for config in SECTIONS
        for f in fields(config)
    ]


def set_option(name: str, value: str) -> None:
    """Set `Section-option`, as on Luigi's command line, for this process."""
    head, _, key = name.partition("-")
    key = key.replace("-", "_")
    known = {section(config): {f.name for f in fields(config)} for config in SECTIONS}
    if head not in known:
        raise SettingsError(f"--{name}: there is no section {head}{nearest(head, known)}")
    if key not in known[head]:
        raise SettingsError(f"--{name}: [{head}] has no option {key}{nearest(key, known[head])}")
    get_config().set(head, key, value.replace("%", "%%"))


LUIGI = """\
# The default recipe: every option with its default. Another recipe is another file:
#     LUIGI_CONFIG_PATH=recipes/sample.cfg make dataset
# On the command line every option is --Section-option VALUE, with hyphens, as in
# --Crop-max-faces 2. In a file a per cent sign is written twice (source = /photos/100%% mine), and
# ${NAME} is an environment variable. A path may begin with ~.

[core]
# No server is needed. recipes/luigid.cfg uses one.
local_scheduler = true
# The store has a lock of its own.
no_lock = true
log_level = WARNING
autoload_range = false

[worker]
check_complete_on_run = true

[retcode]
already_running = 10
missing_data = 20
not_run = 25
task_failed = 30
scheduling_error = 35
unhandled_exception = 40
"""


def as_cfg() -> str:
    """The default recipe, luigi.cfg: every section, every option with its sentence."""
    text = LUIGI
    for config in SECTIONS:
        text += f"\n[{section(config)}]\n"
        for f in fields(config):
            text += f"# {f.metadata['help']}{span(f.metadata)}\n{f.name} = {shown(f.default)}\n"
    return text


def as_markdown() -> str:
    """The page docs/options.md."""
    text = (
        "# Options\n\nMade by `python -m pipeline options`. Each is set in `luigi.cfg`, or on the"
        " command line as\n`--Section-option VALUE`, with hyphens: `max_faces` of `[Crop]` is"
        " `--Crop-max-faces 2`. In `luigi.cfg` a per cent\nsign is written twice (`source ="
        " /photos/100%% mine`) and `${NAME}` is an environment variable; on a command line\nnothing"
        " is doubled. Where an option is a path, `~` is your home.\n"
    )
    for config in SECTIONS:
        text += f"\n## [{section(config)}]\n\n{config.__doc__}\n\n"
        text += "| option | default | what it does |\n|---|---|---|\n"
        for f in fields(config):
            default = f"`{shown(f.default)}`" if f.default != "" else "(empty)"
            sentence = f.metadata["help"].replace("|", "\\|") + span(f.metadata)
            text += f"| `{f.name}` | {default} | {sentence} |\n"
    return text
