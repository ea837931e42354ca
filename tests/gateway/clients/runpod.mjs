// Calls the runpod-sdk package: each line of the input is [url, method, arguments] as JSON, and is answered by a line
// that begins with "=" and has the result. The package itself prints lines, too.
import { createInterface } from "node:readline"
import runpodSdk from "runpod-sdk"

async function collected(pieces) {
  const found = []
  for await (const piece of pieces) found.push(piece)
  return found
}

for await (const line of createInterface({ input: process.stdin })) {
  const [url, method, given] = JSON.parse(line)
  const endpoint = runpodSdk("of-the-tests", { baseUrl: `${url}/v2` }).endpoint("talking")
  const call = endpoint[method](...given)
  const result = method === "stream" ? await collected(call) : await call
  console.log(`=${JSON.stringify(result)}`)
}
