"""What the pages say of an update, in the reader's language."""

from django.utils.translation import gettext_lazy

from server.releases.models import Update, UpdateState

# Why it failed, by the code that the device reports.
PROBLEMS = {
    "signature": gettext_lazy("The signature is not valid. Nothing was changed."),
    "manifest": gettext_lazy("The device can't read what was signed. Nothing was changed."),
    "archive": gettext_lazy("The archive is damaged or was changed. Nothing was changed."),
    "room": gettext_lazy("There is too little space on the device. Nothing was changed."),
    "no_key": gettext_lazy("The device trusts no key for releases. Nothing was changed."),
    "older": gettext_lazy("The device already has this version or a newer one."),
    "too_old": gettext_lazy(
        "The device's version is too old for this release: an earlier release has to come first."
    ),
    "machine": gettext_lazy("The release is for another kind of device. Nothing was changed."),
    "tried": gettext_lazy("This release has failed on this device before, and is not tried again."),
    "interrupted": gettext_lazy("It was interrupted. The device is as it was before."),
    "busy": gettext_lazy("The device was never idle for long enough. Nothing was changed."),
    "not_handed_on": gettext_lazy(
        "The device's update service did not answer. Nothing was changed."
    ),
    "installer": gettext_lazy("The installer of the release gave up."),
    "removed": gettext_lazy("The server does not offer this release any more."),
}


SENTENCES = {
    UpdateState.ASKED: gettext_lazy(
        "Version %(version)s is going to be installed. The device asks for it every ten minutes."
    ),
    UpdateState.WAITING: gettext_lazy(
        "Version %(version)s is going to be installed when the session has ended."
    ),
    UpdateState.DOWNLOADING: gettext_lazy("Downloading version %(version)s: %(percent)s %%"),
    UpdateState.INSTALLING: gettext_lazy(
        "Installing version %(version)s. This takes some minutes."
    ),
    UpdateState.INSTALLED: gettext_lazy("Version %(version)s was installed."),
    UpdateState.FAILED: gettext_lazy("Version %(version)s could not be installed."),
    UpdateState.WENT_BACK: gettext_lazy(
        "Version %(version)s did not work. The device went back to the version before."
    ),
}


def sentence(update: Update) -> str:
    """Say how far the update is."""
    values = {"version": update.version, "percent": update.percent or 0}
    return str(SENTENCES[UpdateState(update.state)]) % values


def problem(update: Update) -> str:
    """Say why the update failed; nothing if the device's reason is not known here."""
    return str(PROBLEMS.get(update.code, ""))
