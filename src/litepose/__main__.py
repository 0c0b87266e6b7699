"""`python -m litepose` is `litepose`."""

import sys

from litepose.apps.cli.main import main

sys.exit(main())
