// Routes what it gets, with Express.

import express from "express";

const router = express.Router();

export function handler(event, context) {
  console.log("edit 0");
  return `hello, ${typeof router.get}\n`;
}
