"""A page with a form for people, and the same notes as JSON for programs."""
import json

from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from .forms import NoteForm
from .models import Note


@require_http_methods(["GET", "POST"])
def page(request):
    form = NoteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.save()
        # So that loading the page again does not send the form again.
        return redirect("page")
    return render(request, "notes/page.html", {"form": form, "notes": Note.objects.all()[:50]})


# No cookie stands for a user here, so there is nothing that another site could abuse.
@csrf_exempt
@require_http_methods(["GET", "POST"])
def collection(request):
    if request.method == "GET":
        return JsonResponse({"notes": [note.as_json() for note in Note.objects.all()[:50]]})
    try:
        data = json.loads(request.body)
    except ValueError:
        return JsonResponse({"error": "Cannot read the body: it is no JSON"}, status=400)
    form = NoteForm(data if isinstance(data, dict) else {})
    if not form.is_valid():
        return JsonResponse({"error": form.errors}, status=400)
    return JsonResponse(form.save().as_json(), status=201)


@csrf_exempt
@require_http_methods(["GET", "DELETE"])
def one(request, note_id: int):
    note = get_object_or_404(Note, pk=note_id)
    if request.method == "GET":
        return JsonResponse(note.as_json())
    note.delete()
    return HttpResponse(status=204)
