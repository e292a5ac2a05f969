/** NestJS microservices over NATS: a controller with a message pattern in a queue group, and ClientProxy.send(). */
import "reflect-metadata";
import { Controller, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ClientProxyFactory, MessagePattern, Payload, Transport } from "@nestjs/microservices";
import type { Arm, CallerRole, Setup, WorkerRole } from "../harness/arm.js";
import { untilTrue } from "../harness/wait.js";
import { firstValueFrom } from "rxjs";

const PATTERN = "nest.job";

class EchoController {
  echo(text: string): string {
    return text;
  }
}
// What the decorators @Controller(), @MessagePattern() and @Payload() do.
const method = Object.getOwnPropertyDescriptor(EchoController.prototype, "echo") as PropertyDescriptor;
MessagePattern(PATTERN)(EchoController.prototype, "echo", method);
Payload()(EchoController.prototype, "echo", 0);
Controller()(EchoController);

class EchoModule {}
Module({ controllers: [EchoController] })(EchoModule);

async function startWorker({ servers, index }: Setup): Promise<WorkerRole> {
  const options = { servers: [servers[index % servers.length] as string], queue: "workers" };
  const app = await NestFactory.createMicroservice(EchoModule, { transport: Transport.NATS, options, logger: false });
  await app.listen();
  return { stop: () => app.close() };
}

async function startCaller({ servers }: Setup): Promise<CallerRole> {
  const client = ClientProxyFactory.create({ transport: Transport.NATS, options: { servers: [servers[0] as string] } });
  await client.connect();
  await untilTrue(async () => (await firstValueFrom(client.send(PATTERN, "ready"))) === "ready", "NestJS answers");
  return {
    encode: (text) => text,
    decode: String,
    call: (payload, done) => {
      firstValueFrom(client.send<string, unknown>(PATTERN, payload)).then(
        (answer) => done(undefined, answer),
        (error: Error) => done(error, undefined),
      );
    },
    stop: async () => client.close(),
  };
}

export const arm: Arm = { startWorker, startCaller };
