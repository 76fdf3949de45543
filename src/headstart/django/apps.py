"""The application for INSTALLED_APPS, which brings the template tag. Loaded by Django."""

from __future__ import annotations

from django.apps import AppConfig


class HeadstartConfig(AppConfig):
    """`headstart.django` in INSTALLED_APPS."""

    name = "headstart.django"
    label = "headstart"
    verbose_name = "Headstart"
