"""The command line: ``overture``."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.console import Console
from rich.markup import escape

from processors.commands import (
    backfill,
    dataset,
    dlq,
    erase,
    experiments,
    features_rebuild,
    features_reembed,
    gallery,
    keys,
    models,
    moderation,
    train,
    verify,
    world,
)
from processors.runtime.settings import Settings
from schemas.errors import AppError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
topics_app = typer.Typer(no_args_is_help=True, help="Topics and schemas.")
features_app = typer.Typer(no_args_is_help=True, help="Feature store and vector index.")
schemas_app = typer.Typer(no_args_is_help=True, help="Contracts and what is generated from them.")
app.add_typer(topics_app, name="topics")
app.add_typer(features_app, name="features")
app.add_typer(schemas_app, name="schemas")
app.add_typer(dlq.app, name="dlq")
app.add_typer(keys.app, name="keys")
app.add_typer(world.app, name="world")
app.add_typer(dataset.app, name="dataset")
app.add_typer(models.app, name="models")
app.add_typer(experiments.app, name="experiments")
app.add_typer(gallery.app, name="gallery")
app.add_typer(moderation.app, name="moderation")
app.command()(train.train)
app.command()(verify.verify)
app.command()(erase.erase)
app.command()(backfill.backfill)
features_app.command("rebuild")(features_rebuild.features_rebuild)
features_app.command("reembed")(features_reembed.features_reembed)
out = Console()


@app.command()
def run(
    names: Annotated[list[str], typer.Argument(help="Capabilities, for example media_analysis or item_indexing@2.")],
) -> None:
    """Run capabilities in this process, each as a consumer group of its own."""
    from processors.catalogue import BY_NAME, find
    from processors.runtime import logs, worker
    from processors.runtime.wiring import Wiring

    unknown = [name for name in names if find(name) is None]
    if unknown:
        raise typer.BadParameter(f"no capability {', '.join(unknown)}; there are {', '.join(BY_NAME)}")
    settings = Settings()
    logs.configure(settings.worker)
    chosen = [each for name in names if (each := find(name)) is not None]
    wiring = Wiring(settings)
    try:
        asyncio.run(worker.run([wiring.runner(each) for each in chosen], settings))
    finally:
        wiring.close()


@app.command()
def serve() -> None:
    """Run the HTTP service."""
    from processors.runtime import service

    service.serve(Settings())


@app.command()
def status(media_id: str) -> None:
    """Show an upload's way through the system."""
    from processors.tools import status as tool

    tool.show(Settings(), media_id, out)


@topics_app.command("apply")
def topics_apply() -> None:
    """Create missing topics and register schemas."""
    from contextlib import closing

    from processors.catalogue import CAPABILITIES
    from processors.runtime import topics_admin
    from processors.runtime.registry import SchemaRegistry

    settings = Settings()
    with closing(SchemaRegistry(settings.registry.url)) as registry:
        created = topics_admin.apply(settings.kafka, registry, CAPABILITIES)
    out.print(f"topics created: {len(created)}; schemas are registered")


@topics_app.command("check")
def topics_check() -> None:
    """Compare broker and registry with the catalogue; exit code 1 on a difference."""
    from contextlib import closing

    from processors.catalogue import CAPABILITIES
    from processors.runtime import topics_admin
    from processors.runtime.registry import SchemaRegistry

    settings = Settings()
    with closing(SchemaRegistry(settings.registry.url)) as registry:
        problems = topics_admin.check(settings.kafka, registry, CAPABILITIES)
    for problem in problems:
        out.print(problem)
    raise typer.Exit(1 if problems else 0)


@topics_app.command("access")
def topics_access(*, dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the rules.")] = False) -> None:
    """Give each capability and the service their rights at the broker."""
    from processors.catalogue import CAPABILITIES
    from processors.runtime import access

    rules = [rule for capability in CAPABILITIES for rule in access.rules_of(capability)] + access.rules_of_service()
    for rule in rules:
        name = f"{rule.name}*" if rule.prefixed else rule.name
        out.print(f"{rule.user:<32} {rule.verb:<9} {rule.kind.lower():<6} {name}", highlight=False, soft_wrap=True)
    if not dry_run:
        out.print(f"rules at the broker: {access.apply(Settings().kafka, rules)}")


@topics_app.command("tail")
def topics_tail(
    name: str,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Records from the end.")] = 10,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more.")] = False,
) -> None:
    """Print the last records of a topic, decoded."""
    from processors.tools import tail

    tail.show(Settings(), name, count, follow=follow, console=out)


@features_app.command("apply")
def features_apply() -> None:
    """Register feature views in Feast and create Milvus collections."""
    from features.apply import apply
    from processors.runtime.wiring import Wiring

    wiring = Wiring(Settings())
    applied = apply(wiring.feast_config, wiring.milvus_config)
    out.print(f"views: {', '.join(applied.views)}; collections made: {', '.join(applied.collections_made) or 'none'}")


@schemas_app.command("generate")
def schemas_generate() -> None:
    """Write the typed records, the AsyncAPI document and the README's tables."""
    from processors.contracts import generated

    for path in generated.write():
        out.print(f"wrote {path}")


@schemas_app.command("check")
def schemas_check() -> None:
    """Check that generated files are fresh and contracts compatible with the released ones."""
    from processors.contracts import compatibility, generated

    problems = [f"{path} is stale; run `overture schemas generate`" for path in generated.stale()]
    problems += compatibility.problems()
    for problem in problems:
        out.print(problem)
    raise typer.Exit(1 if problems else 0)


@schemas_app.command("release")
def schemas_release() -> None:
    """Freeze the contracts of today as those that later ones must stay compatible with."""
    from processors.contracts import compatibility

    for path in compatibility.release():
        out.print(f"released {path}")


@app.command("settings")
def show_settings() -> None:
    """List every setting with its value and meaning."""
    settings = Settings()
    for name, field in Settings.model_fields.items():
        section = getattr(settings, name)
        if not hasattr(section, "model_fields"):
            _print_setting(f"OVERTURE_{name.upper()}", section, field.description)
            continue
        for key, inner in type(section).model_fields.items():
            variable = f"OVERTURE_{name.upper()}__{key.upper()}"
            _print_setting(variable, getattr(section, key), inner.description)


def _print_setting(variable: str, value: object, meaning: str | None) -> None:
    out.print(f"[bold]{variable}[/] = {escape(str(value))}", soft_wrap=True, highlight=False)
    out.print(f"    {meaning or ''}", soft_wrap=True, highlight=False, markup=False)


def main() -> None:
    """Entry point; an error of ours is one line, not a traceback."""
    try:
        app()
    except AppError as error:
        Console(stderr=True).print(f"[red]{error.code}[/]: {error}", soft_wrap=True)
        sys.exit(1)
    except SettingsError as error:
        words = (
            f"settings: {error}: what is no plain word or number is written as JSON, such as '[0.45, 0.2, \"reject\"]'"
        )
        Console(stderr=True).print(words, soft_wrap=True, markup=False)
        sys.exit(2)
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            place = "__".join(str(part) for part in each["loc"]).upper()
            Console(stderr=True).print(f"[red]settings[/]: {place} {each['msg']}", soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
