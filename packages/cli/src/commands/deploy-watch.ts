import type { DeployRequest, DeployTarget } from '../publish/deploy.ts';
import { deployFolder } from '../publish/deploy.ts';

/** `vmlet deploy --watch`. */
export async function watchAndDeploy(request: DeployRequest, target: DeployTarget): Promise<void> {
  await deployFolder(request, target);
}
