from django.db import models


class Note(models.Model):
    text = models.CharField(max_length=280)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def as_json(self) -> dict:
        return {"id": self.pk, "text": self.text, "created": self.created.isoformat()}
