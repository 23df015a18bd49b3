"""URLs of the page for the doctor, and of the API of it."""

from django.urls import path

from server.visit import pages
from server.visit.views import SheetView

app_name = "visit"
urlpatterns = [
    path("api/sheet/", SheetView.as_view(), name="sheet-fhir"),
    path("people/<str:username>/sheet/", pages.sheet, name="sheet"),
    path("sheet/links/<int:link_id>/withdraw/", pages.withdraw, name="withdraw"),
    path("sheet/<str:token>/", pages.shared, name="shared"),
]
