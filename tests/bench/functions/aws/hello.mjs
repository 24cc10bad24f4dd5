// Names a bucket, with a heavy SDK, and two heavy tools that nobody has moved to the development's dependencies.

import { S3Client } from "@aws-sdk/client-s3";

const client = new S3Client({ region: "eu-west-1" });

export function handler(event, context) {
  console.log("edit 0");
  return `hello, ${client.constructor.name}\n`;
}
