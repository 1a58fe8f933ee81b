"""mpota serve."""
# SPDX-License-Identifier: MIT

import errno
import io
import json
import signal
import sys
from dataclasses import asdict

import click

from mpota.cli.common import state_option
from mpota.server import Ports, Server

PORT = click.IntRange(0, 65535)


@click.command()
@click.option("--bind", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--host", help="Name or address that devices use, for URLs and the certificate; the bind address if not given.")
@click.option("--mqtt-port", type=PORT, default=0, help="MQTT; 0 takes a free port, as it does for the others.")
@click.option("--mqtts-port", type=PORT, default=0, help="MQTT over TLS.")
@click.option("--http-port", type=PORT, default=0, help="HTTP.")
@click.option("--https-port", type=PORT, default=0, help="HTTPS; devices register there too.")
@click.option("--coap-port", type=PORT, default=0, help="CoAP.")
@click.option("--coaps-port", type=PORT, default=0, help="CoAP over DTLS.")
@click.option("--chaos", type=int, metavar="SEED", help="Misbehave, to test boards: lose, delay and damage, and answer wrongly.")
@state_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def serve(bind, host, mqtt_port, mqtts_port, http_port, https_port, coap_port, coaps_port, chaos, state, as_json):
    """Runs the broker, the file servers and the update service until it is interrupted.

    STATE/server.json tells host, ports and CA file while it runs.
    """
    if bind == "0.0.0.0" and not host:
        raise click.UsageError("--bind 0.0.0.0 needs --host")

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what devices say of themselves may be any text

    def on_event(event):
        try:
            click.echo(json.dumps(asdict(event)) if as_json else f"{event.device} {event.text}")
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # else the disk is full, and only the line is lost

    def on_ready(address):
        click.echo(json.dumps(asdict(address)) if as_json else _describe(address))

    server = Server(state, bind, host or bind, on_event, chaos)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop())
    server.run(Ports(mqtt_port, mqtts_port, http_port, https_port, coap_port, coaps_port), on_ready)


def _describe(address):
    return (
        f"ready on {address.host}: mqtt {address.mqtt_port}, mqtts {address.mqtts_port}, "
        f"http {address.http_port}, https {address.https_port}, "
        f"coap {address.coap_port}, coaps {address.coaps_port}, CA {address.ca}"
    )
