"""The metaclasses of Dagster's resources, typed so that unknown attributes are errors.

Dagster imports `ModelMetaclass` from one of two modules of pydantic, for its versions 1 and 2. One
of them has no such name, so type checkers take the metaclass for unknown, and then every attribute
of a resource, too: a misspelled method was no error. `resource_attributes.py` checks this.
"""

from typing import Any, Self

from pydantic import Field
from pydantic._internal._model_construction import ModelMetaclass
from typing_extensions import dataclass_transform

class LateBoundTypesForResourceTypeChecking:
    @staticmethod
    def get_resource_rep_type() -> type: ...
    @staticmethod
    def get_resource_type() -> type: ...
    @staticmethod
    def get_partial_resource_type(base: type) -> type: ...
    @staticmethod
    def set_actual_types_for_type_checking(
        resource_dep_type: type, resource_type: type, partial_resource_type: type
    ) -> None: ...

@dataclass_transform(kw_only_default=True, field_specifiers=(Field,))
class BaseConfigMeta(ModelMetaclass): ...

@dataclass_transform(kw_only_default=True, field_specifiers=(Field,))
class BaseResourceMeta(BaseConfigMeta): ...

class TypecheckAllowPartialResourceInitParams:
    def __set_name__(self, _owner: Any, name: str) -> None: ...
    def __get__(self, obj: Any, owner: Any) -> Self: ...
    def __set__(self, obj: object | None, value: Any) -> None: ...
