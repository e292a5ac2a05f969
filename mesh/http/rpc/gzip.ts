/** Gzip whose every decompression failure but "too large" is the caller's mistake. */
import { Code, ConnectError } from "@connectrpc/connect";
import { compressionGzip } from "@connectrpc/connect-node";

/** Gzip for servers: bounded by readMaxBytes, `invalid_argument` for what is not gzip or is cut off. */
export const serverGzip: typeof compressionGzip = {
  ...compressionGzip,
  async decompress(bytes, readMaxBytes) {
    try {
      return await compressionGzip.decompress(bytes, readMaxBytes);
    } catch (error) {
      const failure = ConnectError.from(error);
      if (failure.code === Code.ResourceExhausted) throw failure;
      throw new ConnectError("the body is not gzip, or is cut off", Code.InvalidArgument);
    }
  },
};
