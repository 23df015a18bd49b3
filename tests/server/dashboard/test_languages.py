"""Which language a page speaks, and that German has every text."""

import gettext
import re
from pathlib import Path

from django.test import Client

from server import dashboard
from server.care.models import Person
from tests.server.conftest import PASSWORD
from tests.server.dashboard.browsing import measured, words_of

HERE = Path(dashboard.__file__).parent


def test_a_page_speaks_the_browsers_language(world, browser):
    measured(world.device, metrics={"blink_rate_per_min": 14.8})
    page = browser("carl").get("/people/anna/", headers={"Accept-Language": "de"})
    shown = words_of(page)
    assert "Lidschlagrate 14,8 Lidschläge/min" in shown
    assert "English Deutsch" in shown
    assert '<html lang="de">' in page.content.decode()


def test_the_language_chosen_on_a_page_holds_at_once_in_every_browser_and_for_mails(world, browser):
    client, phone = browser("carl"), browser("carl")
    client.post("/language/", {"language": "de", "next": "/people/anna/"})
    for each in (client, phone):
        assert "Personen" in words_of(each.get("/", headers={"Accept-Language": "en"}))
    assert Person.objects.get(pk=world.carl.pk).mail_language == "de"
    client.post("/language/", {"language": "xx", "next": "/"})
    assert "Personen" in words_of(phone.get("/"))


def test_the_language_of_the_account_page_holds_at_once(world, browser):
    client = browser("carl")
    client.post("/language/", {"language": "de", "next": "/"})
    fields = {"first_name": "", "last_name": "", "timezone": "Europe/Berlin", "language": "en"}
    answer = client.post("/account/", fields, follow=True)
    assert "Saved." in words_of(answer)
    assert '<html lang="en">' in answer.content.decode()


def test_the_first_log_in_takes_the_browsers_language_and_keeps_it(world):
    client = Client()
    german = {"Accept-Language": "de"}
    client.post("/login/", {"username": "carl", "password": PASSWORD}, headers=german)
    assert Person.objects.get(pk=world.carl.pk).language == "de"
    assert "Personen" in words_of(client.get("/", headers={"Accept-Language": "en"}))
    client.post("/logout/")
    assert "Anmelden" in words_of(client.get("/login/", headers={"Accept-Language": "en"}))


def test_a_person_whose_language_was_set_gets_it_at_log_in(world):
    Person.objects.filter(pk=world.carl.pk).update(language="de")
    client = Client()
    client.post("/login/", {"username": "carl", "password": PASSWORD})
    assert "Personen" in words_of(client.get("/"))


def strings_of_the_code() -> set[str]:
    """Every text marked for translation in templates and modules, as the catalogue knows it."""
    import ast

    found: set[str] = set()
    for path in HERE.parent.rglob("*.html"):
        page = path.read_text()
        found |= {
            text.replace("%", "%%") if "translate" in kind else text
            for kind, text in re.findall(r'(translate |_\()"([^"]+)"', page)
        }
        for body in re.findall(r"{% blocktranslate.*?%}(.*?){% endblocktranslate %}", page, re.S):
            for part in re.split(r"{% plural %}", body):
                found.add(re.sub(r"{{ (\w+) }}", r"%(\1)s", part))
    for path in HERE.parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
                "_",
                "gettext_lazy",
                "ngettext",
            ):
                texts = [part.value for part in node.args if isinstance(part, ast.Constant)]
                found |= {text for text in texts if isinstance(text, str)}
    return found


def test_german_has_every_text():
    path = HERE / "locale/de/LC_MESSAGES/django.mo"
    with path.open("rb") as file:
        known = gettext.GNUTranslations(file)._catalog
    texts = {key[0] if isinstance(key, tuple) else key for key in known}
    plurals = set(re.findall(r'msgid_plural "(.*)"', path.with_suffix(".po").read_text()))
    assert strings_of_the_code() - texts - plurals == set()


def test_the_compiled_german_is_the_written_one():
    path = HERE / "locale/de/LC_MESSAGES/django.po"
    with path.with_suffix(".mo").open("rb") as file:
        known = gettext.GNUTranslations(file)._catalog
    written = re.findall(r'\n\nmsgid "(.+)"\nmsgstr "(.*)"$', path.read_text(), re.M)

    def plain(text: str) -> str:
        return text.replace('\\"', '"').replace("\\n", "\n")

    unquoted = {plain(key): plain(value) for key, value in written}
    assert {key: known.get(key) for key in unquoted} == unquoted
    assert all(unquoted.values())
