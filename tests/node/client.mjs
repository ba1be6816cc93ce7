// SPDX-License-Identifier: Apache-2.0
//
// client.mjs URL METRICS_URL ENGINE_PID...: the openai client against a router before
// mock engines of llama_3_1_8b, for which gpt-4 is an alias. The last step kills the
// engines of these processes. Prints what held; the first that does not ends it.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

// The packages lie where the test installed them, not beside this file.
const packages = createRequire(process.env.STACKSIM_NODE + "/");
const { OpenAI, NotFoundError, BadRequestError, APIError } = packages("openai");
const [url, metricsUrl, ...enginePids] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url, apiKey: "none", maxRetries: 0, timeout: 60000 });
const model = "llama_3_1_8b";
const messages = [{ role: "user", content: "What is the capital of France? Et l'été?" }];

async function collect(stream) {
    const chunks = [];
    for await (const chunk of stream) {
        chunks.push(chunk);
    }
    return chunks;
}

const steps = {
    async "models are listed"() {
        const ids = (await collect(await client.models.list())).map((entry) => entry.id);
        assert.deepEqual(ids, [model]);
    },
    async "a chat is answered whole"() {
        const answer = await client.chat.completions.create({ model, messages, max_tokens: 7 });
        assert.equal(answer.object, "chat.completion");
        assert.equal(answer.model, model);
        assert.equal(answer.choices[0].message.role, "assistant");
        assert.equal(answer.choices[0].finish_reason, "length");
        assert.equal(answer.usage.completion_tokens, 7);
    },
    async "a chat is streamed token by token"() {
        const chunks = await collect(await client.chat.completions.create({
            model, messages, max_tokens: 12, stream: true,
            stream_options: { include_usage: true },
        }));
        const words = chunks.filter((chunk) => chunk.choices[0]?.delta.content);
        assert.equal(words.length, 12);
        assert.equal(chunks.at(-1).usage.completion_tokens, 12);
    },
    async "completions are answered whole and streamed"() {
        const question = { model, prompt: "Once upon a time", max_tokens: 9 };
        const answer = await client.completions.create(question);
        assert.equal(answer.object, "text_completion");
        assert.equal(answer.usage.completion_tokens, 9);
        const chunks = await collect(
            await client.completions.create({ ...question, stream: true }));
        assert.equal(chunks.map((chunk) => chunk.choices[0].text).join("").length, 4 * 9);
        assert.equal(chunks.at(-1).choices[0].finish_reason, "length");
    },
    async "an alias reaches its model"() {
        const answer = await client.chat.completions.create(
            { model: "gpt-4", messages, max_tokens: 1 });
        assert.equal(answer.model, model);
    },
    async "the request id of an answer is the client's own"() {
        const { response, request_id: id } = await client.chat.completions
            .create({ model, messages, max_tokens: 1 },
                { headers: { "X-Request-Id": "from-the-client" } })
            .withResponse();
        assert.equal(id, "from-the-client");
        assert.equal(response.status, 200);
    },
    async "an unknown model is a NotFoundError of the router"() {
        await assert.rejects(
            client.chat.completions.create({ model: "nobody", messages }),
            (error) => error instanceof NotFoundError && error.status === 404 &&
                /nobody/.test(error.message));
    },
    async "an engine's refusal is a BadRequestError in its own words"() {
        await assert.rejects(
            client.completions.create({ model, prompt: "x", max_tokens: -1 }),
            (error) => error instanceof BadRequestError && /max_tokens/.test(error.message));
    },
    async "fifty streams at a time all arrive"() {
        const all = await Promise.all(Array.from({ length: 50 }, async () => collect(
            await client.chat.completions.create(
                { model, messages, max_tokens: 10, stream: true }))));
        for (const chunks of all) {
            assert.equal(chunks.filter((chunk) => chunk.choices[0]?.delta.content).length, 10);
            assert.equal(chunks.at(-1).choices[0].finish_reason, "length");
        }
    },
    async "a stream that is left ends at its engine"() {
        const stream = await client.completions.create({
            model, prompt: "x", max_tokens: 100000, stream: true,
        });
        for await (const chunk of stream) {
            assert.ok(chunk.choices);
            break; // closes the connection
        }
        for (let tries = 0; ; tries++) {
            const text = await (await fetch(metricsUrl)).text();
            const running = [...text.matchAll(/^vllm:num_requests_running\{[^}]*\} (\S+)$/gm)];
            assert.ok(running.length > 0, "no num_requests_running in the metrics");
            if (running.every((match) => Number(match[1]) === 0)) {
                return;
            }
            assert.ok(tries < 200, "the router still counts it as running");
            await sleep(50);
        }
    },
    async "a stream whose engine dies ends in an APIError"() {
        const stream = await client.completions.create({
            model, prompt: "x", max_tokens: 100000, stream: true,
        });
        await assert.rejects(
            async () => {
                for await (const chunk of stream) {
                    assert.ok(chunk.choices);
                    enginePids.splice(0).forEach((pid) => process.kill(pid, "SIGKILL"));
                }
            },
            (error) => error instanceof APIError && /broke off/.test(error.message));
    },
    async "without engines the answer is an error, not silence"() {
        await assert.rejects(
            client.completions.create({ model, prompt: "x", max_tokens: 1 }),
            (error) => error instanceof APIError && error.status >= 500);
    },
};

for (const [name, step] of Object.entries(steps)) {
    try {
        await step();
    } catch (error) {
        console.error(`FAILED: ${name}\n`, error);
        process.exit(1);
    }
    console.log(`ok: ${name}`);
}
