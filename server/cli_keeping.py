"""The commands of `blink-server` that timers run."""

from server.cli_shared import Adder, Options


def judge(options: Options) -> None:
    """Look at every alert rule once, and send what is to be told."""
    from server.alerts.judge import judge as pass_over_rules
    from server.alerts.sending import deliver_all

    judged = pass_over_rules()
    sent, failed = deliver_all()
    if not options.quiet or failed:
        told = f"{judged.rules} rules: {judged.opened} alerts opened, {judged.resolved} resolved"
        print(f"{told}; {sent} notices sent, {failed} failed")


def add_keeping_commands(command: Adder) -> None:
    """Those that keep the server and tell of what it sees."""
    command(judge, "judge").add_argument(
        "--quiet", action="store_true", help="say nothing unless a notice could not be sent"
    )
