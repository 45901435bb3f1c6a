"""Picks every real part. The only importer of the plug folders."""

from __future__ import annotations

from tocsin.wiring.node import up as up
from tocsin.wiring.plans import missing_clients as missing_clients
from tocsin.wiring.plans import missing_secrets as missing_secrets
from tocsin.wiring.plans import named_secrets as named_secrets
from tocsin.wiring.plans import plan_files as plan_files
from tocsin.wiring.plans import unconfinable as unconfinable
from tocsin.wiring.plans import without_clients as without_clients
from tocsin.wiring.playbooks import dry_run as dry_run
from tocsin.wiring.playbooks import import_playbooks as import_playbooks
from tocsin.wiring.playbooks import importing_from as importing_from
from tocsin.wiring.playbooks import named_step as named_step
from tocsin.wiring.playbooks import playbook_of as playbook_of
from tocsin.wiring.playbooks import solutions as solutions
from tocsin.wiring.plugs import channels as channels
from tocsin.wiring.plugs import probe as probe
from tocsin.wiring.plugs import send_once as send_once
from tocsin.wiring.plugs import sources as sources
from tocsin.wiring.weak import weak_secrets as weak_secrets
