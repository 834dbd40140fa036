"""CoDSA: synthetic data where real data is thin, and evidence of whether it helped.

The package follows the way of the data: `prepare`, `split`, `generators`, `sample`, `fit`,
`evaluate`, `report`. Each stage reads the files of the stages before it and writes its own.
The method is Conditional Data Synthesis Augmentation (arXiv 2504.07426).
"""

__version__ = "0.1.0"
