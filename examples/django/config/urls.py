from django.urls import path

from notes import views

urlpatterns = [
    path("", views.page, name="page"),
    path("api/notes", views.collection),
    path("api/notes/<int:note_id>", views.one),
]
