"""Gives az the version of the network SDK that it asks for.

Debian 12's azure-cli asks for version 2022-01-01 of azure.mgmt.network, and
its python3-azure has none between 2021-02-01-preview and 2022-07-01, so that
every command of "az network" ends before it has read its arguments.
"""
import importlib
import importlib.abc
import importlib.util
import sys

WANTED, THERE = "azure.mgmt.network.v2022_01_01", "azure.mgmt.network.v2022_07_01"


class Alias(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name == WANTED or name.startswith(WANTED + "."):
            return importlib.util.spec_from_loader(name, self)
        return None

    def create_module(self, spec):
        return importlib.import_module(THERE + spec.name[len(WANTED):])

    def exec_module(self, module):
        pass


sys.meta_path.append(Alias())
