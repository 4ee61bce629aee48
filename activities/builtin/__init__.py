"""The plugins that come with stdops, one module per plugin or family.

The registry looks into every module of this folder: a new plugin is a new file.
"""
