"""Imports the package `ota` on CPython as MicroPython understands it."""
# SPDX-License-Identifier: MIT

import ast
import importlib.abc
import importlib.machinery
import sys


class _Errno(ast.NodeTransformer):
    """OSError(code) has an errno on MicroPython; CPython wants a second argument for that."""

    def visit_Call(self, node):
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "OSError" and len(node.args) == 1:
            node.args.append(ast.copy_location(ast.Constant(""), node))
        return node


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname):
        path = self.get_filename(fullname)
        return compile(_Errno().visit(ast.parse(self.get_data(path), path)), path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, root):
        self._root = root

    def find_spec(self, fullname, path=None, target=None):
        if fullname.split(".")[0] != "ota":
            return None
        for folder in path or [self._root]:
            spec = importlib.machinery.FileFinder(folder, (_Loader, [".py"])).find_spec(fullname)
            if spec:
                return spec
        return None


def install(root):
    sys.meta_path.insert(0, _Finder(root))
