"""Resources whose values come from settings alone, whatever a run's configuration says.

Dagster makes every field of a resource part of the configuration of runs: a caller who may launch
runs could point the object store at another folder, or a worker's client at another address.
"""

from collections.abc import Mapping

import dagster as dg


def fixed_resources(
    resources: Mapping[str, dg.ConfigurableResource],
) -> dict[str, dg.ResourceDefinition]:
    """Return the resources with no field that a run can set, and the I/O manager likewise.

    The list of what a run may set is empty. A run whose configuration names a field is refused
    before it starts. See docs/adr/security-rules.md#rule-51.
    """
    fixed = {key: _fixed(resource.get_resource_definition()) for key, resource in resources.items()}
    # Dagster's own writes pickles into a folder that a run may choose. Our assets use none.
    return fixed | {"io_manager": no_outputs}


def _fixed(definition: dg.ResourceDefinition) -> dg.ResourceDefinition:
    # Dagster takes the values that the resource was made with as the default of its configuration.
    field = definition.get_config_field()
    values = field.default_value if field.default_provided else {}
    return definition.configured(lambda _: values, config_schema={})


class NoOutputs(dg.IOManager):
    """Stores nothing: assets pass bytes by key through the object store."""

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuse to store a value.

        Raises:
            TypeError: an asset or op returns one.
        """
        if obj is not None:
            raise TypeError(f"{context.step_key} returns a value; write it to the object store.")

    def load_input(self, context: dg.InputContext) -> None:
        """Refuse to load a value.

        Raises:
            TypeError: always.
        """
        raise TypeError("No value of an asset or op is stored; read from the object store.")


@dg.io_manager(config_schema={}, description="Stores nothing: assets use the object store.")
def no_outputs(_context: dg.InitResourceContext) -> NoOutputs:
    """Return the I/O manager of all assets and ops."""
    return NoOutputs()
