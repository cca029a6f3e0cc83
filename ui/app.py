"""What `askfirst ui` hands to Streamlit: the page, with the package's own name so that its relative imports work."""

from askfirst.ui.page import main

main()
