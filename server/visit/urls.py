"""URLs of the page for the doctor."""

from django.urls import path

from server.visit import pages

app_name = "visit"
urlpatterns = [
    path("people/<str:username>/sheet/", pages.sheet, name="sheet"),
    path("sheet/links/<int:link_id>/withdraw/", pages.withdraw, name="withdraw"),
    path("sheet/<str:token>/", pages.shared, name="shared"),
]
