"""Settings of the site; `make book` assembles its pages and builds it (see tools/build_book.py)."""

import re

project = "Modality dominance"
author = "The msam_lib developers"
copyright = "The msam_lib developers, MIT licence"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx-mathjax-offline",
]
html_theme = "furo"
html_title = "Modality dominance"
html_show_sphinx = False
html_extra_path: list[str] = []
html_static_path = ["_static"]
html_css_files = ["explore.css"]

nb_execution_mode = "off"  # outputs come from `make notebooks`
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type", "misc.highlighting_failure"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_use_rtype = False
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

# Docstrings are plain text with Markdown's code spans; to Sphinx they are reStructuredText.


def as_restructured_text(app, what, name, obj, options, lines):
    """Double the backquotes, escape what only reStructuredText gives a meaning."""

    def line(text):
        if text.lstrip().startswith((">>>", "...")):
            return text
        parts = re.split(r"(`+[^`]+`+)", text)
        plain = [re.sub(r"(\||\*(?! )|_\b|\b_(?=\W|$))", r"\\\1", p) for p in parts[::2]]
        code = [f"``{c.strip('`')}``" for c in parts[1::2]]
        return "".join(a + b for a, b in zip(plain, [*code, ""], strict=True))

    lines[:] = [line(text) for text in lines]


def setup(app):
    """Before napoleon reads the sections (priority 500)."""
    app.connect("autodoc-process-docstring", as_restructured_text, priority=400)
