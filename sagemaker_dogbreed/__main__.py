"""``python -m sagemaker_dogbreed``."""

import sys

from sagemaker_dogbreed.cli import main

sys.exit(main())
