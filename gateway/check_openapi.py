#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later

"""Holds docs/openapi.json against the gateway's own table of routes.

    check_openapi.py GATEWAY OPENAPI

Every route must be described with its success status, its parameters in the path and in the query, and
nothing else may be described.
"""

import json
import re
import subprocess
import sys


def routes_of_table(gateway):
	text = subprocess.run([gateway, "--routes"], check=True, capture_output=True, text=True).stdout
	routes = {}
	for line in text.rstrip("\n").split("\n"):
		method, path, _message, status, query = line.split("\t")
		routes[method, path] = (status, set(re.findall(r"{(\w+)}", path)), set(query.split()))
	return routes


def routes_of_document(document):
	routes = {}
	for path, operations in document["paths"].items():
		for method, operation in operations.items():
			parameters = operation.get("parameters", [])
			names = {where: {p["name"] for p in parameters if p["in"] == where} for where in ("path", "query")}
			(status,) = [status for status in operation["responses"] if status != "default"]
			routes[method.upper(), path] = (status, names["path"], names["query"])
	return routes


def references(node):
	if isinstance(node, dict):
		for key, value in node.items():
			if key == "$ref":
				yield value
			else:
				yield from references(value)
	elif isinstance(node, list):
		for value in node:
			yield from references(value)


def resolve(document, reference):
	node = document
	for name in reference.removeprefix("#/").split("/"):
		node = node[name]
	return node


def main():
	gateway, path = sys.argv[1:]
	with open(path, encoding="utf-8") as file:
		document = json.load(file)
	table = routes_of_table(gateway)
	described = routes_of_document(document)
	assert document["openapi"].startswith("3.1."), document["openapi"]
	assert len(table) > 20, "the table is empty"
	for route in sorted(table.keys() | described.keys()):
		assert table.get(route) == described.get(route), (route, table.get(route), described.get(route))
	for reference in references(document):
		assert resolve(document, reference), reference
	print(len(table), "routes")


if __name__ == "__main__":
	main()
