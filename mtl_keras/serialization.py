"""Builds objects from names and configs: `"dst(floor=0.3)"` <-> `DST(floor=0.3)`.

Specifications are parsed with `ast` and never evaluated: only names, calls and literals are accepted.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Generic, TypeVar, cast

import numpy as np

from mtl_keras.checks import unknown_value

T = TypeVar("T")
C = TypeVar("C", bound="Configurable")

_MAX_INTEGER_BITS = 1024  # longer integers have no float64 value, and most arguments are converted to floats


@dataclass(frozen=True)
class Spec:
    """A parsed specification: a name with positional and keyword arguments (which may be `Spec`s)."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        values = [*map(_written, self.args), *(f"{name}={_written(value)}" for name, value in self.kwargs.items())]
        return f"{self.name}({', '.join(values)})" if values else self.name


def _written(value: Any) -> str:
    return str(value) if isinstance(value, Spec) else repr(value)


def parse_spec(text: str, kind: str = "specification") -> Spec:
    """Parses `"name"` or `"name(1, key=value, inner=other(2))"`.

    Args:
        text: the specification. Values are Python literals, names (read as a `Spec` without arguments)
            or nested calls.
        kind: what the specification stands for, for the error message (`"schedule"`).

    Raises:
        ValueError: if `text` is anything else.
    """
    error = ValueError(f"Cannot read the {kind}. Expected: name or name(key=value, ...). Received: {text!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # Python's warning would come before `error`
            tree = ast.parse(text.strip(), mode="eval").body
        spec = _parse_node(tree)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as cause:
        raise error from cause
    if not isinstance(spec, Spec):
        raise error
    return spec


def _parse_node(node: ast.expr) -> Any:
    """Returns the value of a syntax node. Tuples become lists, as in JSON."""
    if isinstance(node, ast.Name):
        return Spec(node.id)
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or any(keyword.arg is None for keyword in node.keywords):
            raise ValueError("only plain names can be called, with named or positional arguments")
        if len({keyword.arg for keyword in node.keywords}) < len(node.keywords):
            raise ValueError("an argument is given twice")
        return Spec(
            node.func.id,
            tuple(_parse_node(argument) for argument in node.args),
            {str(keyword.arg): _parse_node(keyword.value) for keyword in node.keywords},
        )
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_parse_node(element) for element in node.elts]
    if isinstance(node, ast.Dict):
        if any(key is None for key in node.keys):
            raise ValueError("`**` is not understood")
        return {
            ast.literal_eval(key): _parse_node(value) for key, value in zip(node.keys, node.values) if key is not None
        }
    literal = ast.literal_eval(node)
    if isinstance(literal, int) and literal.bit_length() > _MAX_INTEGER_BITS:
        raise ValueError("an integer is larger than any float")
    return literal


def snake_case(name: str) -> str:
    """Returns `"random_drop"` for `"RandomDrop"` and `"dst"` for `"DST"`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def name_of(factory: Any) -> str:
    """Returns the name of a class or function in specifications: its `NAME`, or else `__name__` in snake case."""
    return getattr(factory, "NAME", "") or snake_case(factory.__name__)


def _normalise(name: object) -> str:
    return str(name).replace("_", "").lower()


class Registry(Generic[T]):
    """Registry of objects of one kind, built by name.

    Args:
        kind: kind of the objects, for error messages (`"schedule"`).
        base: the class of the objects; `get` refuses others.
        use: how to pass the objects, for error messages (`"pass it to compile(weighting=...)"`). If an unknown name is
            registered in another registry that has `use`, the error says so.
        package: a package whose modules register objects. They are imported when the registry is first used.
    """

    _all: ClassVar[list[Registry[Any]]] = []

    def __init__(self, kind: str, base: type = object, use: str = "", package: str = "") -> None:
        self.kind, self.base, self.use, self._package = kind, base, use, package
        self._registered: dict[str, Callable[..., T]] = {}
        Registry._all.append(self)

    @property
    def _factories(self) -> dict[str, Callable[..., T]]:
        if self._package:
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__, f"{self._package}."):
                importlib.import_module(module.name)
            self._package = ""
        return self._registered

    @property
    def names(self) -> list[str]:
        """The registered names, sorted."""
        return sorted(self._factories)

    def __contains__(self, name: str) -> bool:
        return any(_normalise(known) == _normalise(name) for known in self._factories)

    def __getitem__(self, name: str) -> Callable[..., T]:
        """Returns the factory registered under a name. Case and underscores are ignored (`"PCGrad"`).

        Raises:
            ValueError: for an unknown name, with the choices.
        """
        matches = [factory for known, factory in self._factories.items() if _normalise(known) == _normalise(name)]
        if not matches:
            for other in Registry._all:
                if self.use and other.use and name in other:
                    raise ValueError(
                        f"{name!r} is a {other.kind}, not a {self.kind}: {other.use}. Received: {self.kind} {name!r}. "
                        f"Choices: {', '.join(self.names)}"
                    )
            raise unknown_value(self.kind, name, self._factories)
        return matches[0]

    def register(self, factory: Callable[..., T]) -> Callable[..., T]:
        """Registers a class or function under its `name_of`, and returns it; usable as a decorator.

        Raises:
            ValueError: if the name is registered already.
        """
        name = name_of(factory)
        loading = self._package and factory.__module__.startswith(f"{self._package}.")
        if name in (self._registered if loading else self._factories):
            raise ValueError(f"A {self.kind} named {name!r} is registered already.")
        self._registered[name] = factory
        return factory

    def get(self, identifier: str | Spec | Mapping[str, Any] | T) -> T:
        """Returns an object from a specification, a config or the object itself.

        Args:
            identifier: `"dst(floor=0.3)"`, parsed or not, or `{"name": "dst", "config": {"floor": 0.3}}`, or an
                object, which is returned as it is.

        Raises:
            ValueError: for an unknown name (listing the choices), wrong arguments, values that the object rejects, or
                an object of another class.
        """
        if isinstance(identifier, str):
            try:
                spec = parse_spec(identifier, self.kind)
            except ValueError as error:
                raise ValueError(f"{error}. Choices: {', '.join(self.names)}") from error
            return self._build(spec)
        if isinstance(identifier, Spec):
            return self._build(identifier)
        if isinstance(identifier, Mapping):
            unexpected = set(identifier) - {"name", "config"}
            config = identifier.get("config", {})
            if "name" not in identifier or unexpected or not isinstance(config, Mapping):
                raise ValueError(
                    f"A {self.kind} config has the keys 'name' and 'config', which is a dict. "
                    f"Received: {dict(identifier)!r}"
                )
            return self._build(Spec(identifier["name"], (), dict(config)))
        if not isinstance(identifier, self.base):
            if isinstance(identifier, type):
                raise ValueError(
                    f"A {self.kind} is an object: write {identifier.__name__}(). Received: the class itself"
                )
            raise ValueError(
                f"A {self.kind} is a name, a config or a {self.base.__name__} object. Received: {identifier!r}. "
                f"Choices: {', '.join(self.names)}"
            )
        return identifier

    def _build(self, spec: Spec) -> T:
        factory = self[spec.name]
        args = [self._resolve(value) for value in spec.args]
        kwargs = {key: self._resolve(value) for key, value in spec.kwargs.items()}
        signature = inspect.signature(factory)
        for name in kwargs:
            if name not in signature.parameters:
                raise unknown_value(f"argument of {self.kind} {spec.name!r}", name, signature.parameters)
        try:
            signature.bind(*args, **kwargs)
        except TypeError as cause:
            known = ", ".join(signature.parameters)
            raise ValueError(f"Wrong arguments for {self.kind} {spec.name!r}: {cause}. It takes: ({known})") from cause
        try:
            return factory(*args, **kwargs)
        except (TypeError, OverflowError) as cause:
            given = ", ".join([*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())])
            raise ValueError(
                f"Wrong arguments for {self.kind} {spec.name!r}: {cause}. Received: {spec.name}({given})"
            ) from cause

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, Spec):
            return self._build(value)
        if isinstance(value, list):
            return [self._resolve(element) for element in value]
        if isinstance(value, dict):
            return {key: self._resolve(element) for key, element in value.items()}
        return value


class Configurable:
    """An object that stores each constructor argument in an attribute of the same name.

    Attributes:
        NAME: the name of the class in specifications, if it is not the class name in snake case.
    """

    NAME: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # `@dataclass` generates a `__repr__`, with all default values, unless the class itself defines one.
        cls.__repr__ = cls.__repr__  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        """Checks the fields of a dataclass that have a check, such as `mtl_keras.checks.number_field`."""
        for each in fields(cast(Any, self)):
            if check := each.metadata.get("check"):
                check(each.name, getattr(self, each.name))

    def __repr__(self) -> str:
        """Returns the constructor call, without arguments that have their default values."""
        parameters = inspect.signature(type(self)).parameters.values()
        values = [(each, getattr(self, each.name)) for each in parameters]
        given = [f"{each.name}={value!r}" for each, value in values if value is not each.default]
        return f"{type(self).__name__}({', '.join(given)})"

    def get_config(self) -> dict[str, Any]:
        """Returns every constructor argument, as values that JSON supports."""
        return {name: _json_value(getattr(self, name)) for name in inspect.signature(type(self)).parameters}

    @classmethod
    def from_config(cls: type[C], config: Mapping[str, Any]) -> C:
        """Returns the object that `get_config` described."""
        return cls(**config)


def serialize(value: Configurable) -> dict[str, Any]:
    """Returns `{"name": ..., "config": ...}`, from which `Registry.get` builds an equal object."""
    return {"name": name_of(type(value)), "config": value.get_config()}


def _json_value(value: Any) -> Any:
    """Converts nested objects, mappings, sequences and NumPy scalars to values that JSON supports."""
    if isinstance(value, Configurable):
        return serialize(value)
    if isinstance(value, Mapping):
        return {key: _json_value(element) for key, element in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(element) for element in value]
    return value.item() if isinstance(value, np.generic) else value
