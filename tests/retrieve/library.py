"""Files as they come: Markdown, HTML, text in several encodings, PDF written by hand, tables, and broken ones."""

__all__ = ["MARKDOWN", "PAGE", "make_pdf", "write_library"]

MARKDOWN = """# Parcel desk

What the desk does when a parcel is late.

## Delays

The order is three days late. Please wait one more day, then call the depot.

```
# not a heading
```

### Strikes

When the courier is on strike nothing moves from the depot.

Refunds
-------

A refund is paid within fourteen days. It goes to the card that paid.
"""
PAGE = """<!doctype html><html><head><title>Opening &amp; closing</title><style>p {color: red}</style>
<script>var secret = "script words";</script></head><body><h1>Hours</h1><p>The desk opens at <b>nine</b>
and closes at five.</p><h2>Sundays</h2><ul><li>closed</li><li>phone only</li></ul><pre>a  b
c</pre></body></html>"""


def make_pdf(path, pages, *, title=""):
    """Write a small PDF with a line of text on each page; an empty text makes a page without any."""
    count = len(pages)
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{' '.join(f'{4 + 2 * at} 0 R' for at in range(count))}] /Count {count} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for at, text in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text else ""
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * at} 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    objects.append(f"<< /Title ({title}) >>")
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    trailer = f"<< /Size {len(objects) + 1} /Root 1 0 R /Info {len(objects)} 0 R >>\nstartxref\n{len(out)}\n%%EOF"
    path.write_bytes(out + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n{trailer}".encode())
    return path


def write_library(folder):
    """A folder with one file of each kind, some of them broken."""
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "desk.md").write_text(MARKDOWN, encoding="utf-8")
    (folder / "hours.html").write_text(PAGE, encoding="utf-8")
    (folder / "deep" / "er" / "note.txt").write_text("your courier lost my letter\n", encoding="utf-8")
    (folder / "cafe.txt").write_bytes("the driver left the box in the café".encode("latin-1"))
    make_pdf(folder / "terms.pdf", ["the invoice shows a wrong amount", "", "my parcel never came"], title="Terms")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4\nnothing of the kind")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0")
    (folder / "data.txt").write_bytes(bytes(range(256)) * 8)
    (folder / "tickets.csv").write_text(
        "id,queue,body\nA1,post,where is my package? the tracking page says nothing\nA2,pay,can I have my money back\nA3,pay,\n",
        encoding="utf-8",
    )
    (folder / ".hidden.txt").write_text("hidden words", encoding="utf-8")
    return folder
