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
html_css_files = ["explore.css", "front.css", "equations.css"]

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

# Docstrings are plain text with Markdown's code spans, and LaTeX between dollar signs; to Sphinx
# they are reStructuredText.
MATH = re.compile(
    r"(?P<kept>^ *(?:>>>|\.\.\.) .*$|`[^`\n]+`)"
    r"|^(?P<indent> *)\$\$(?P<block>.+?)\$\$ *$|\$(?P<line>[^$]+?)\$",
    re.MULTILINE | re.DOTALL,
)


def as_restructured_text(app, what, name, obj, options, lines):
    """Turn equations into roles and directives, double the backquotes, escape what only
    reStructuredText gives a meaning.
    """
    equations = []

    def held(match):
        """Something without a meaning in its place, until the text around it is done."""
        if match["kept"]:
            return match[0]
        latex = " ".join((match["block"] or match["line"]).split())
        indent = match["indent"] or ""
        block = f"\n{indent}.. math::\n\n{indent}   {latex}\n"
        equations.append(block if match["block"] else f":math:`{latex}`")
        return f"\0{len(equations) - 1}\0"

    def line(text):
        if text.lstrip().startswith((">>>", "...")):
            return text
        parts = re.split(r"(`+[^`]+`+)", text)
        plain = [re.sub(r"(\||\*(?! )|_\b|\b_(?=\W|$))", r"\\\1", p) for p in parts[::2]]
        code = [f"``{c.strip('`')}``" for c in parts[1::2]]
        return "".join(a + b for a, b in zip(plain, [*code, ""], strict=True))

    text = "\n".join(map(line, MATH.sub(held, "\n".join(lines)).split("\n")))
    lines[:] = re.sub("\0(\\d+)\0", lambda m: equations[int(m[1])], text).split("\n")


def mathjax_for_outputs(app, pagename, templatename, context, doctree):
    """Load MathJax where a notebook's output has equations, be there none in its text."""
    needed = "tex2jax_process" in context.get("body", "")
    app.set_html_assets_policy("always" if needed else "per_page")


def setup(app):
    """Before napoleon reads the sections and MathJax chooses its pages (both have priority 500)."""
    app.connect("autodoc-process-docstring", as_restructured_text, priority=400)
    app.connect("html-page-context", mathjax_for_outputs, priority=400)
