"""The readers of the stored formats: bytes in, raw documents and findings out."""

from translator.formats.detect import read
from translator.formats.document import Document, Read

__all__ = ["Document", "Read", "read"]
