"""Apply the rules for names to existing people.

A user name that another person has in the same spelling but for case stays as it is.
"""

import unicodedata

from django.db import migrations, models

import server.common.names


def case_mapped(name):
    """Return the name as `names.case_mapped` did at the time of this migration."""
    narrow = "".join(
        unicodedata.normalize("NFKC", letter)
        if unicodedata.decomposition(letter).startswith(("<wide>", "<narrow>"))
        else letter
        for letter in name
    )
    return unicodedata.normalize("NFC", narrow.lower())


def printable(name):
    """Return the name on one line, without invisible and direction characters."""
    return "".join(letter for letter in " ".join(name.split()) if letter.isprintable())


def apply_the_rules(apps, _schema_editor):
    people = apps.get_model("care", "Person").objects
    for person in people.order_by("pk").only("username", "first_name", "last_name").iterator():
        wanted = case_mapped(person.username)
        if not wanted.strip("."):
            wanted = f"person-{person.pk}"
        changed = {}
        if wanted != person.username and not people.filter(username=wanted).exists():
            changed["username"] = wanted
        for field in ("first_name", "last_name"):
            if (name := printable(getattr(person, field))) != getattr(person, field):
                changed[field] = name
        if changed:
            people.filter(pk=person.pk).update(**changed)


class Migration(migrations.Migration):
    dependencies = [("care", "0007_looks_at_a_session")]

    operations = [
        migrations.AlterModelManagers(name="person", managers=[]),
        migrations.AlterField(
            model_name="person",
            name="username",
            field=models.CharField(
                error_messages={"unique": "This user name is already taken."},
                max_length=150,
                unique=True,
                validators=[server.common.names.validate_username],
                verbose_name="User name",
            ),
        ),
        migrations.AlterField(
            model_name="person",
            name="first_name",
            field=models.CharField(
                blank=True,
                max_length=150,
                validators=[server.common.names.validate_shown_name],
                verbose_name="First name",
            ),
        ),
        migrations.AlterField(
            model_name="person",
            name="last_name",
            field=models.CharField(
                blank=True,
                max_length=150,
                validators=[server.common.names.validate_shown_name],
                verbose_name="Last name",
            ),
        ),
        migrations.RunPython(apply_the_rules, migrations.RunPython.noop),
    ]
