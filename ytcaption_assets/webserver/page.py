"""Dagster's web app, which changes nothing unless the settings say so."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

from dagster_webserver.webserver import DagsterWebserver
from graphql import ASTValidationRule, GraphQLError, OperationDefinitionNode, OperationType
from starlette.applications import Starlette

from resources.http_server.connections import TABLE, ConnectionLimits, ConnectionTable
from resources.orchestration.dagster_internals import IWorkspaceProcessContext


class NoMutations(ASTValidationRule):
    """Refuses each GraphQL document that contains a mutation, whatever it would change.

    Dagster's own read-only mode refuses those mutations that ask for a permission; not all do.
    """

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        """Report a mutation."""
        if node.operation is OperationType.MUTATION:
            self.report_error(
                GraphQLError(
                    "Dagster's page is read-only. An operator can change that by "
                    "YTCAPTION_WEBSERVER_READ_ONLY=false.",
                    node,
                )
            )


class ReadOnlyWebserver(DagsterWebserver):
    """Dagster's web app without mutations."""

    def build_graphql_validation_rules(self) -> Collection[type[ASTValidationRule]]:
        """Return Dagster's rules and ours."""
        return [*super().build_graphql_validation_rules(), NoMutations]


def dagster_app(
    context: IWorkspaceProcessContext, limits: ConnectionLimits, *, read_only: bool
) -> Starlette:
    """Return Dagster's web app.

    Args:
        context: the workspace; it must be read-only, too, so that the page shows no buttons.
        limits: of the server's connections.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, ConnectionTable]]:
        yield {TABLE: ConnectionTable(limits)}

    kind = ReadOnlyWebserver if read_only else DagsterWebserver
    return kind(context).create_asgi_app(lifespan=lifespan)
