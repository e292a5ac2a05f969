/** NestJS microservices over NATS: a controller with a message pattern in a queue group, and ClientProxy.send(). */
import "reflect-metadata";
import { Controller, Logger, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ClientProxyFactory, MessagePattern, Transport } from "@nestjs/microservices";
import { firstValueFrom, timeout } from "rxjs";
import type { Arm, CallerRole, Setup, WorkerRole } from "../harness/arm.js";
import { untilTrue } from "../harness/processes/wait.js";

const FIRST_TRY_MS = 500;

/** The module of a usual NestJS service, for one pattern. */
function echoModule(pattern: string) {
  @Controller()
  class EchoController {
    @MessagePattern(pattern)
    echo(text: string): string {
      return text;
    }
  }
  @Module({ controllers: [EchoController] })
  class EchoModule {}
  return EchoModule;
}

async function startWorker({ group, servers, index }: Setup): Promise<WorkerRole> {
  const options = { servers: [servers[index % servers.length] as string], queue: "workers" };
  const app = await NestFactory.createMicroservice(echoModule(group), {
    transport: Transport.NATS,
    options,
    logger: false,
  });
  await app.listen();
  return { stop: () => app.close() };
}

async function startCaller({ group, servers }: Setup): Promise<CallerRole> {
  Logger.overrideLogger(false);
  const client = ClientProxyFactory.create({ transport: Transport.NATS, options: { servers: [servers[0] as string] } });
  await client.connect();
  // A first call may come before the worker's subscription is known to the broker; it is never answered then.
  const first = client.send<string, string>(group, "ready").pipe(timeout(FIRST_TRY_MS));
  await untilTrue(async () => (await firstValueFrom(first)) === "ready", "NestJS answers");
  return {
    encode: (text) => text,
    decode: String,
    call: (payload, done) => {
      firstValueFrom(client.send<string, unknown>(group, payload)).then(
        (answer) => done(undefined, answer),
        (error: Error) => done(error, undefined),
      );
    },
    stop: async () => client.close(),
  };
}

export const arm: Arm = { startWorker, startCaller };
