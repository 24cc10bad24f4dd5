"""Fits a line through what it gets."""

import numpy
import pandas
from sklearn.linear_model import LinearRegression


def handler(event, context):
    table = pandas.DataFrame({"x": numpy.arange(10.0), "y": numpy.arange(10.0) * 2})
    fitted = LinearRegression().fit(table[["x"]], table["y"])
    print("edit 0")
    return f"slope {fitted.coef_[0]:.2f}\n"
