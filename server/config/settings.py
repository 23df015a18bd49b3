"""Django settings. All values come from the environment. Importing this module writes nothing."""

import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from server.common.logs import logging_settings
from server.config.environment import (
    broker_address,
    flag,
    networks,
    number,
    one_of,
    secret_file,
    text,
    words,
)
from server.config.mail_settings import mail_settings
from server.config.schema import TAGS

BASE_DIR = Path(__file__).resolve().parent


def _data_dir() -> Path:
    for name in ("BLINKLOG_DATA_DIR", "STATE_DIRECTORY"):
        if value := text(name):
            return Path(value)
    home = text("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "blinklog-server"


def _secret_key() -> str:
    if key := text("BLINKLOG_SECRET_KEY"):
        return key
    if text("BLINKLOG_SECRET_KEY_FILE"):
        return secret_file("BLINKLOG_SECRET_KEY_FILE", least=1)
    if SECRET_KEY_FILE.exists():
        return SECRET_KEY_FILE.read_text().strip()
    # `blink-server` creates the file and then uses it. Other processes can use a temporary key.
    return secrets.token_urlsafe(50)


DEBUG = flag("BLINKLOG_DEBUG")
DATA_DIR = _data_dir()
SECRET_KEY_FILE = DATA_DIR / "secret_key"
SECRET_KEY = _secret_key()
ALLOWED_HOSTS = words("BLINKLOG_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
# Whether the site is served over HTTPS. A reverse proxy terminates TLS.
HTTPS = flag("BLINKLOG_HTTPS")
# Number of reverse proxies in front of the server: trust that many X-Forwarded-For entries.
TRUSTED_PROXIES = number("BLINKLOG_TRUSTED_PROXIES", 1 if HTTPS else 0)

INSTALLED_APPS = [
    "server.care",
    "server.replica",
    "server.devices",
    "server.session_data",
    "server.aiming",
    "server.reminding",
    "server.releases",
    "server.notes",
    "server.dashboard",
    "server.alerts",
    "server.visit",
    "server.retention",
    "server.backup",
    "server.monitoring",
    "server.operations",
    "server.home_assistant",
    "server.common.apps.AdminSiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "server.monitoring.metrics.CountRequests",
    "server.config.security.SafeHeaders",
    "server.config.slashes.AnswerWithoutSlash",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Compression is safe for pages with secrets (BREACH attack): CSRF tokens are masked differently
    # in every response, and Django's gzip adds random padding.
    "server.config.compression.Compress",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "server.replica.marks.NoteWrites",
    "server.care.pages.language.PersonLanguage",
    "server.devices.fair_share.LimitPages",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "server.config.urls"
WSGI_APPLICATION = "server.config.wsgi.application"
ASGI_APPLICATION = "server.config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "server.alerts.context.open_alerts",
            ]
        },
    }
]


# Databases. SQLite: IMMEDIATE takes the write lock at the start of a transaction, so that a read
# followed by a write waits for the lock instead of failing. FULL, because an acknowledgement
# promises that the commit survives a power cut.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
}
# PostgreSQL: every wait has a timeout. `migrate` and `restore` turn the statement timeout
# off, because rewriting a large table takes long.
_STATEMENT_TIMEOUT_S = number("BLINKLOG_STATEMENT_TIMEOUT_S", 30)
POSTGRES_OPTIONS = {
    "connect_timeout": 5,
    # Detect a dead server or network within a minute.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
    "options": f"-c statement_timeout={_STATEMENT_TIMEOUT_S}s -c lock_timeout=10s"
    " -c idle_in_transaction_session_timeout=60s",
}


def _database(name: str, url: str, expected: str) -> dict[str, Any]:
    try:
        parsed = dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True)
    except ValueError:  # its message contains the URL, including the password
        raise ImproperlyConfigured(f"{name}: {expected}") from None
    config: dict[str, Any] = dict(parsed)
    sqlite = "sqlite" in config["ENGINE"]
    config["OPTIONS"] = {
        **(SQLITE_OPTIONS if sqlite else POSTGRES_OPTIONS),
        **config.get("OPTIONS", {}),
    }
    if sqlite:  # use a real file for tests too: an in-memory database locks differently
        name = f"blinklog-test-{os.getpid()}.sqlite3"
        config["TEST"] = {"NAME": str(Path(tempfile.gettempdir()) / name)}
    return config


def _databases() -> dict[str, Any]:
    postgres = "expected postgres://user:password@host/name"
    url = text("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'blinklog.sqlite3'}"
    primary = _database("DATABASE_URL", url, f"{postgres}, or sqlite:///path")
    if not (replica_url := text("BLINKLOG_REPLICA_URL")):
        return {"default": primary}
    replica = _database("BLINKLOG_REPLICA_URL", replica_url, postgres)
    for name, each in (("DATABASE_URL", primary), ("BLINKLOG_REPLICA_URL", replica)):
        if "postgresql" not in each["ENGINE"]:
            raise ImproperlyConfigured(f"{name}: {postgres}, as there is a replica")
    # Requests wait for a replica that has gone, before they read from the primary.
    replica["OPTIONS"] |= {"connect_timeout": 2, "tcp_user_timeout": 5_000}
    return {"default": primary, "replica": replica | {"TEST": {"MIRROR": "default"}}}


DATABASES = _databases()
DATABASE_ROUTERS = ["server.replica.reading.Router"]
# How many seconds the replica may lag; while it lags more, everything is read from the primary.
REPLICA_LAG_S = number("BLINKLOG_REPLICA_LAG_S", 5)

AUTH_USER_MODEL = "care.Person"
AUTHENTICATION_BACKENDS = ["server.care.login.RateLimitedBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# Who may create an account: anyone, people with an invitation, or nobody (see care/accounts.py).
SIGN_UP = one_of("BLINKLOG_SIGN_UP", "invited", "open", "closed")
# The name shown in authenticator apps. django-otp's throttling is off: care/second_factor.py
# limits wrong codes.
OTP_TOTP_ISSUER = "Blinklog"
OTP_TOTP_THROTTLE_FACTOR = OTP_STATIC_THROTTLE_FACTOR = 0
# How long a link for a new password works.
PASSWORD_RESET_TIMEOUT = 3600
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

STATIC_URL = "/static/"
# Serve static files from the source tree: no collectstatic, no build step.
WHITENOISE_USE_FINDERS = True

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "server.devices.authentication.BearerAuthentication",
        "server.devices.authentication.BrowserAuthentication",
    ],
    "DEFAULT_THROTTLE_CLASSES": [
        "server.devices.fair_share.DeviceThrottle",
        "server.devices.fair_share.PersonThrottle",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["server.care.authentication.IsPerson"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["server.common.parsing.BoundedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
    "NUM_PROXIES": TRUSTED_PROXIES,
}
DRF_STANDARDIZED_ERRORS = {
    "EXCEPTION_HANDLER_CLASS": "server.config.errors.ProblemHandler",
    "EXCEPTION_FORMATTER_CLASS": "server.common.problems.ProblemFormatter",
    "ENABLE_IN_DEBUG_FOR_UNHANDLED_EXCEPTIONS": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Blinklog",
    "DESCRIPTION": "Sessions of eye and blink measurements: devices write them; people, and those "
    "they share with, read them.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "server.config.schema.describe_problems",
        "server.config.schema.describe_headers",
        "server.config.schema.describe_operations",
    ],
    "TAGS": TAGS,
    "ENUM_NAME_OVERRIDES": {
        "NoteKindEnum": "server.notes.models.Kind",
        "StateEnum": "server.session_data.models.State",
        "DocumentStateEnum": "server.session_data.models.DOCUMENT_STATES",
        "ActivityEnum": "server.session_data.models.ACTIVITIES",
        "ActivityOrNoneEnum": "server.session_data.filters.ACTIVITIES_OR_NONE",
        "OutcomeEnum": "server.common.problems.OUTCOMES",
        "ProblemTypeEnum": "server.common.problems.TYPES",
        "CommandOutcomeEnum": "server.session_data.commands.views.OUTCOMES",
    },
}

# Maximum size of a request body, for documents and everything else: 1 MiB. The reverse proxies in
# deploy/server let twice as much through, so that it is the server that answers.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

CSRF_FAILURE_VIEW = "server.config.errors.csrf_failure"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
# Own names: other programs on the same host share its cookies, and Django's names with them.
# With the prefix, browsers accept the cookie from this host alone, and over TLS.
_COOKIE = "__Host-blinklog_" if HTTPS else "blinklog_"
SESSION_COOKIE_NAME = f"{_COOKIE}session"
CSRF_COOKIE_NAME = f"{_COOKIE}csrf"
LANGUAGE_COOKIE_NAME = f"{_COOKIE}language"
# The other storage has a cookie whose name can't be set.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Log format: plain lines, or one JSON object per line.
LOGGING = logging_settings(one_of("BLINKLOG_LOG", "line", "json"))

# Who may read /metrics: clients with the token, or from these networks. Nobody by default.
METRICS_ALLOW = networks("BLINKLOG_METRICS_ALLOW")
METRICS_TOKEN = secret_file("BLINKLOG_METRICS_TOKEN_FILE")
# Whether /readyz returns 503 while no consumer is running.
READY_WITH_CONSUMER = flag("BLINKLOG_READY_WITH_CONSUMER")
# How many days to keep the sessions of people who have not chosen themselves; 0 keeps them forever.
RETENTION_DAYS = number("BLINKLOG_RETENTION_DAYS", 0)
# How many days to keep the entries of the audit log and the access log; 0 keeps them forever.
LOG_DAYS = number("BLINKLOG_LOG_DAYS", 365)

# Megabytes of sessions that a device may add in a day, that a person's devices may add together,
# and that a person may have. 0: no limit.
DEVICE_MB_PER_DAY = number("BLINKLOG_DEVICE_MB_PER_DAY", 64)
PERSON_MB_PER_DAY = number("BLINKLOG_PERSON_MB_PER_DAY", 128)
PERSON_MB = number("BLINKLOG_PERSON_MB", 2048)
# How many devices a person may have, and add in a day.
DEVICES_PER_PERSON = number("BLINKLOG_DEVICES_PER_PERSON", 20)
# Free megabytes of the data folder's disk below which there is an alarm, and below which no new
# measurements are stored.
DISK_ALARM_MB = number("BLINKLOG_DISK_ALARM_MB", 2048)
DISK_RESERVE_MB = number("BLINKLOG_DISK_RESERVE_MB", 256)

# The site's public URL, for links in e-mails and webhooks.
PUBLIC_URL = text("BLINKLOG_URL").rstrip("/")
# Alerts by e-mail and webhook. Webhooks may only call public addresses unless WEBHOOK_PRIVATE is
# set.
EMAIL_URL = text("BLINKLOG_EMAIL_URL")
globals().update(mail_settings(EMAIL_URL, text("BLINKLOG_EMAIL_PASSWORD_FILE")))
DEFAULT_FROM_EMAIL = text("BLINKLOG_EMAIL_FROM", "Blinklog <blinklog@localhost>")
WEBHOOK_PRIVATE = flag("BLINKLOG_WEBHOOK_PRIVATE")

MQTT_URL = text("BLINKLOG_MQTT_URL", "mqtt://localhost:1883")
MQTT_CA_FILE = text("BLINKLOG_MQTT_CA_FILE")
MQTT_PASSWORD_FILE = text("BLINKLOG_MQTT_PASSWORD_FILE")
# Optional. The broker account that manages the devices' accounts (Mosquitto's dynamic-security
# plugin).
MQTT_ADMIN_URL = text("BLINKLOG_MQTT_ADMIN_URL")
MQTT_ADMIN_PASSWORD_FILE = text("BLINKLOG_MQTT_ADMIN_PASSWORD_FILE")
DEVICE_MQTT_URL = broker_address("BLINKLOG_DEVICE_MQTT_URL")
# Optional. The certificates of the private authority that signed this server's own certificate.
# Devices are given them, and those of MQTT_CA_FILE, when they are added.
DEVICE_CA_FILE = text("BLINKLOG_DEVICE_CA_FILE")
# The releases that devices are offered, and the public key that signs them.
RELEASES_DIR = Path(text("BLINKLOG_RELEASES_DIR") or DATA_DIR / "releases")
