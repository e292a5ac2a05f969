/** Gzip in which a decompression failure is `invalid_argument`, unless the content is too large. */
import { Code, ConnectError } from "@connectrpc/connect";
import { compressionGzip } from "@connectrpc/connect-node";

/** Gzip for servers: bounded by readMaxBytes; `invalid_argument` for bytes that are not gzip or are truncated. */
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
